"""The shared library: found, its calls declared, its failures raised."""

import ctypes as c
import os

from . import _structs as s


class Error(RuntimeError):
    """A call of the library failed. `status` is its code; the text names the thing, the rule and the remedy."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class ArgumentError(Error, ValueError):
    """An argument does not fit: INVALID_ARGUMENT, UNSUPPORTED or ILLEGAL_VARIANT."""


_ARGUMENT_STATUSES = (1, 2, 3)


def _open():
    # SNAPMLA_LIBRARY: another build of the library, for tests in the source tree.
    path = os.environ.get("SNAPMLA_LIBRARY") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "libsnapmla.so")
    try:
        return c.CDLL(path)
    except OSError as error:
        raise ImportError(
            f"snapmla: {path} cannot be loaded ({error}); install the wheel, and liblua5.4-0, libjansson4, libsodium23 and "
            "libzstd1, which it uses"
        ) from None


_lib = _open()
_p, _pp = c.c_void_p, c.POINTER(c.c_void_p)
_CALLS = {  # name: (what it returns, what it takes); a returned c_int is a status
    "snapmla_version": (c.c_char_p, []),
    "snapmla_error_message": (c.c_char_p, []),
    "snapmla_context_create": (c.c_int, [c.POINTER(s.ContextOptions), _pp]),
    "snapmla_context_destroy": (None, [_p]),
    "snapmla_context_info": (c.c_int, [_p, c.POINTER(s.DeviceInfo)]),
    "snapmla_buffer_create": (c.c_int, [_p, c.c_size_t, _pp]),
    "snapmla_buffer_destroy": (None, [_p]),
    "snapmla_buffer_pointer": (_p, [_p]),
    "snapmla_problem_init": (None, [c.POINTER(s.Problem)]),
    "snapmla_problem_check": (c.c_int, [c.POINTER(s.Problem)]),
    "snapmla_kv_format_name": (c.c_char_p, [c.c_int]),
    "snapmla_kv_format_parse": (c.c_int, [c.c_char_p, c.POINTER(c.c_int)]),
    "snapmla_page_layout_get": (c.c_int, [c.POINTER(s.Problem), c.POINTER(s.PageLayout)]),
    "snapmla_plan_create": (c.c_int, [_p, c.POINTER(s.Problem), c.POINTER(s.PlanOptions), _pp]),
    "snapmla_plan_destroy": (None, [_p]),
    "snapmla_plan_variant": (c.c_char_p, [_p, c.c_char_p]),
    "snapmla_plan_fingerprint": (c.c_int, [_p, c.c_char_p]),
    "snapmla_plan_workspace_bytes": (c.c_size_t, [_p]),
    "snapmla_plan_schedule": (c.c_int, [_p, c.POINTER(s.DecodeArgs)]),
    "snapmla_plan_decode": (c.c_int, [_p, c.POINTER(s.DecodeArgs)]),
    "snapmla_plan_merge": (c.c_int, [_p, c.POINTER(s.MergeArgs)]),
    "snapmla_fingerprints_agree": (c.c_int, [c.c_char_p, c.c_int32]),
    "snapmla_plan_append": (c.c_int, [_p, c.POINTER(s.AppendArgs)]),
    "snapmla_pack_open": (c.c_int, [c.c_char_p, c.POINTER(s.PackOptions), _pp]),
    "snapmla_pack_open_memory": (c.c_int, [c.c_char_p, c.c_size_t, c.POINTER(s.PackOptions), _pp]),
    "snapmla_pack_close": (None, [_p]),
    "snapmla_plan_create_from_pack": (c.c_int, [_p, _p, c.POINTER(s.Problem), _pp]),
    "snapmla_layer_problem_init": (None, [c.POINTER(s.LayerProblem)]),
    "snapmla_layer_problem_check": (c.c_int, [c.POINTER(s.LayerProblem)]),
    "snapmla_rope_table_fill": (c.c_int, [c.POINTER(s.LayerProblem), c.c_int64, c.c_int64, _p]),
    "snapmla_layer_plan_create": (c.c_int, [_p, c.POINTER(s.LayerProblem), c.POINTER(s.PlanOptions), _pp]),
    "snapmla_layer_plan_create_from_pack": (c.c_int, [_p, _p, c.POINTER(s.LayerProblem), _pp]),
    "snapmla_layer_plan_destroy": (None, [_p]),
    "snapmla_layer_plan_attention": (_p, [_p]),
    "snapmla_layer_plan_variant": (c.c_char_p, [_p, c.c_char_p]),
    "snapmla_layer_plan_workspace_bytes": (c.c_size_t, [_p]),
    "snapmla_layer_plan_library": (c.c_char_p, [_p]),
    "snapmla_layer_append": (c.c_int, [_p, c.POINTER(s.LayerAppendArgs)]),
    "snapmla_layer_schedule": (c.c_int, [_p, c.POINTER(s.LayerArgs)]),
    "snapmla_layer_step": (c.c_int, [_p, c.POINTER(s.LayerArgs)]),
    "snapmla_layer_fetch": (c.c_int, [_p, c.POINTER(s.FetchArgs)]),
    "snapmla_layer_move": (c.c_int, [_p, c.POINTER(s.MoveArgs)]),
    "snapmla_cache_read": (c.c_int, [c.POINTER(s.Problem), c.POINTER(s.Cache), c.c_int64, _p, _p]),
    "snapmla_cache_convert": (
        c.c_int,
        [c.POINTER(s.Problem), c.POINTER(s.Cache), _p, c.POINTER(s.Problem), c.POINTER(s.Cache), _p, c.c_int64],
    ),
}
_functions = {}
for _name, (_result, _arguments) in _CALLS.items():
    _function = _functions[_name] = getattr(_lib, _name)
    _function.restype, _function.argtypes = _result, _arguments


def function(name):
    """A call as C has it. One without a row above is a KeyError: ctypes would take its pointers for ints, and cut them."""
    return _functions["snapmla_" + name]


def call(name, *arguments):
    """A call that returns a status: raises where it is not OK."""
    status = function(name)(*arguments)
    if status:
        message = function("error_message")().decode()
        raise (ArgumentError if status in _ARGUMENT_STATUSES else Error)(status, message)


def fail(message):
    """Raises what a bad argument raises that the package itself finds."""
    raise ArgumentError(_ARGUMENT_STATUSES[0], message)


def version():
    return function("version")().decode()


def kv_formats():
    """The names of the formats that this build of the library knows, in its own order."""
    names = []
    while True:
        name = function("kv_format_name")(len(names))
        if name is None:
            return tuple(names)
        names.append(name.decode())


def kv_format_name(number):
    return function("kv_format_name")(number).decode()


def kv_format(name):
    """The number of a format. The error lists those there are."""
    out = c.c_int()
    call("kv_format_parse", str(name).encode(), c.byref(out))
    return out.value
