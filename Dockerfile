# The tuner with locked dependencies; serves as the image of a Ray cluster's head and workers.
# For CUDA nodes build with --build-arg BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04 --build-arg EXTRAS=compare,cuda
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev make python3 python3-venv wget \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/raydgp
COPY pyproject.toml requirements.lock README.md LICENSE Makefile ./
COPY raydgp raydgp
COPY jobs jobs
ARG EXTRAS=compare
RUN make .venv/.installed EXTRAS=${EXTRAS}
ENV PATH=/opt/raydgp/.venv/bin:${PATH} RAY_USAGE_STATS_ENABLED=0

# Runs and MLflow's database belong on a volume that user 1000 may write to.
RUN useradd --uid 1000 --create-home raydgp && install --directory --owner raydgp /work
USER raydgp
WORKDIR /work
ENTRYPOINT ["raydgp"]
CMD ["doctor"]
