# lstm-sweeps for a cluster's pods: the driver, Ray's head and its workers run in this image.
#   docker build -t REGISTRY/lstm-sweeps:0.2.0 . && docker push REGISTRY/lstm-sweeps:0.2.0
# What is installed lies in the system's Python, because KubeRay may start a login shell, which forgets the PATH of an
# environment. Docs: docs/cluster/kubernetes.md
FROM python:3.11-slim-bookworm

# The libraries are a layer of their own: a change of our code leaves the gigabytes of PyTorch as they are.
WORKDIR /usr/src/lstm-sweeps
COPY requirements.lock requirements-cluster.lock ./
# torch is named first: packages that depend on it would else choose a build of their own.
RUN pip install --no-cache-dir --disable-pip-version-check "$(grep '^torch==' requirements.lock)" \
 && pip install --no-cache-dir --disable-pip-version-check \
        --requirement requirements.lock --requirement requirements-cluster.lock

COPY pyproject.toml README.md LICENSE lstm_sweeps.py ./
COPY experiments experiments
COPY cluster cluster
COPY dashboards dashboards
COPY lstm lstm
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps . \
 && useradd --create-home --uid 1000 --user-group sweep

# The number, not the name: Kubernetes' runAsNonRoot can't look a name up.
USER 1000:1000
ENV HOME=/home/sweep PYTHONUNBUFFERED=1
WORKDIR /home/sweep
ENTRYPOINT ["sweep"]
