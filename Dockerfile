# Two images: docker build --target cpu -t blueprint-tune . ; docker build --target isaaclab -t blueprint-tune:isaaclab .
# docs/isaac-lab.md runs the second one. scripts/docker-replay replays the steps of the first without an engine.

# Isaac Lab 2.3.2 on Isaac Sim 5.1. Its licence is accepted by who runs the image: -e ACCEPT_EULA=Y.
FROM nvcr.io/nvidia/isaac-lab:2.3.2 AS isaaclab
WORKDIR /opt/blueprint-tune
COPY pyproject.toml README.md LICENSE constraints-isaaclab.txt ./
COPY blueprint_tune blueprint_tune
COPY conf conf
COPY searchspaces searchspaces
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Of these the image keeps what it has, which is of Isaac Lab's sources and not of its wheel; the rest is as our file says.
RUN pip() { /workspace/isaaclab/isaaclab.sh -p -m pip "$@"; } \
    && kept='^(torch|torchvision|torchaudio|numpy|gymnasium|packaging|pillow|starlette|transformers|warp-lang)==' \
    && pip list --format=freeze | { grep -iE "$kept" || true; } >together.txt \
    && grep -vE "$kept" constraints-isaaclab.txt >>together.txt \
    && pip install --no-cache-dir -c together.txt ".[cloud]" \
    && rm together.txt
WORKDIR /work
ENTRYPOINT ["/workspace/isaaclab/isaaclab.sh", "-p", "-m", "blueprint_tune"]
CMD ["--help"]

# MuJoCo on CPUs, and pictures by EGL or OSMesa. The last target is what `docker build .` makes.
FROM python:3.11-slim-bookworm AS cpu
# Debian's archive keeps only the newest of each version.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends libegl1 libgl1 libgles2 libosmesa6 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/blueprint-tune
COPY pyproject.toml README.md LICENSE constraints.txt ./
# The small build of PyTorch; --build-arg TORCH_INDEX_URL=https://pypi.org/simple has CUDA's.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX_URL" "$(grep '^torch==' constraints.txt)"
COPY blueprint_tune blueprint_tune
COPY conf conf
COPY searchspaces searchspaces
RUN pip install --no-cache-dir -c constraints.txt ".[cloud]"
RUN useradd --create-home --uid 1000 trainer && mkdir --parents /work && chown trainer /work
USER 1000
WORKDIR /work
ENTRYPOINT ["python", "-m", "blueprint_tune"]
CMD ["--help"]
