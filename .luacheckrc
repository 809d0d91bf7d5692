-- Spaces run in the generator's strict environment (docs/templates.md): what is not listed there is an error there too.
std = "lua54"
max_line_length = 120
codes = true

files["**/space.lua"].std = {
  read_globals = {
    "ipairs", "select", "tostring", "tonumber", "type", "assert", "error", "pad", "sorted_pairs",
    string = { fields = { "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize",
                          "rep", "reverse", "sub", "unpack", "upper" } },
    table = { fields = { "concat", "insert", "move", "pack", "remove", "sort", "unpack" } },
    math = { fields = { "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max",
                        "maxinteger", "min", "mininteger", "modf", "pi", "rad", "sin", "sqrt", "tan", "tointeger", "type",
                        "ult" } },
  },
}
