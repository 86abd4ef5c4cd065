# Plain instructions only: a builder without BuildKit has to understand them too.
FROM python:3.13-slim AS build
ENV PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# What is written in Go takes longest and changes least: nothing but its own sources makes it anew.
WORKDIR /build
COPY runner/clients/kustomize/compile.py runner/clients/kustomize/toolchain.py render/
COPY runner/clients/kustomize/worker render/worker
COPY runner/clients/kustomize/decryptor render/decryptor
RUN KUSTODIAN_CACHE=/tmp/kustodian python -m render.compile worker decryptor \
 && mv /tmp/kustodian/worker/*/kustodian-worker /tmp/kustodian/decryptor/*/kustodian-decryptor . \
 && rm -rf /tmp/kustodian /root/go /root/.cache

# Without pip of its own: nobody installs anything into the finished image.
RUN python -m venv --without-pip /opt/venv
COPY requirements.txt .
RUN python -m pip --python /opt/venv/bin/python install --no-compile --only-binary :all: --require-hashes -r requirements.txt

COPY pyproject.toml README.md LICENSE src/
COPY runner src/runner
RUN KUSTODIAN_WORKER_PREBUILT=/build/kustodian-worker KUSTODIAN_DECRYPTOR_PREBUILT=/build/kustodian-decryptor \
    python -m pip wheel --no-deps --wheel-dir dist ./src \
 && python -m pip --python /opt/venv/bin/python install --no-compile --no-deps --no-index dist/*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="kustodian" \
      org.opencontainers.image.description="Reconcile Flux Kustomizations from CI: GitOps without controllers in the cluster." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git gpg openssh-client \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log
COPY --from=build /opt/venv /opt/venv
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# What every run loads is compiled here once: 6 MB, for half a second of every start.
RUN PYTHONDONTWRITEBYTECODE="" /opt/venv/bin/python -c \
    "import runner.cli, runner.action, runner.clients.kubernetes, runner.clients.github.rest, github.Requester, requests"
ENTRYPOINT ["/opt/venv/bin/kustodian"]
CMD ["--help"]
