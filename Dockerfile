# snapmla: program, library and Python package on Debian 12, run by a user without rights, a home or a writable root.
#
#   docker build -t snapmla .
#   docker run --rm --gpus all --read-only snapmla                                   # doctor
#   docker run --rm --gpus all --read-only snapmla run --heads 128 --context 4096,700
#   docker run --rm --read-only --tmpfs /tmp:exec snapmla run --context 65           # the emulator compiles into /tmp
#   docker run --rm --gpus all --read-only -v snapmla:/cache snapmla tune --heads 64 --batch 32
#   docker run --rm --gpus all --read-only --entrypoint python snapmla -m snapmla
#
# NVRTC: the wheel whose kernels the driver can load: nvidia-cuda-nvrtc-cu12 before driver 580.
FROM debian:12-slim AS build
SHELL ["/bin/sh", "-eu", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc g++ cmake ninja-build pkg-config liblua5.4-dev libjansson-dev \
    libsodium-dev libzstd-dev python3 python3-venv python3-numpy \
 && rm -rf /var/lib/apt/lists/*
COPY . /source
WORKDIR /source
ARG NVRTC=nvidia-cuda-nvrtc
RUN sh scripts/image_root.sh /opt/snapmla "$NVRTC"

FROM debian:12-slim
# gcc and g++ compile the emulator's kernels.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ liblua5.4-0 libjansson4 libsodium23 libzstd1 python3 python3-numpy \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 65532 -g 65532 -m 0700 /cache
COPY --from=build /opt/snapmla /opt/snapmla
ENV PATH=/opt/snapmla/python/bin:/opt/snapmla/bin:/usr/local/bin:/usr/bin:/bin \
    VIRTUAL_ENV=/opt/snapmla/python \
    SNAPMLA_CACHE_DIR=/cache \
    HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["snapmla"]
CMD ["doctor"]
