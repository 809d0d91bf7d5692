#!/usr/bin/env python3
"""build_wheel.py LIBRARY VERSION OUTDIR: writes snapmla-VERSION-py3-none-PLATFORM.whl, with the package and the shared
library. Needs Python alone; the same bytes for the same files."""

import base64
import hashlib
import pathlib
import sys
import sysconfig
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    library, version, out = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    tag = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
    info = f"snapmla-{version}.dist-info"
    files = {f"snapmla/{path.name}": path.read_bytes() for path in sorted((HERE / "snapmla").glob("*.py"))}
    files["snapmla/libsnapmla.so"] = library.read_bytes()
    files[f"{info}/LICENSE"] = (HERE.parent / "LICENSE").read_bytes()
    files[f"{info}/THIRD_PARTY.md"] = (HERE.parent / "THIRD_PARTY.md").read_bytes()
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: snapmla\nVersion: {version}\n"
        "Summary: FP8 decode attention for Multi-head Latent Attention on NVIDIA Hopper\n"
        "License: MIT\nRequires-Python: >=3.9\nRequires-Dist: numpy\n"
    ).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: snapmla\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    )
    record = ""
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    out.mkdir(parents=True, exist_ok=True)
    wheel = out / f"snapmla-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    print(wheel)


if __name__ == "__main__":
    main()
