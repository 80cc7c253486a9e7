#!/usr/bin/env bash
# Builds what tests of the Helm chart need, once, into $WEIR_TOOLS/kube. tests/setup.sh calls it.
#   tests/kube/tools.sh chart      helm, helm-unittest, kubeconform, and the schemas it reads
#   tests/kube/tools.sh cluster    etcd, kube-apiserver, kubectl
# Which versions is said in modules/*/go.mod, requirements.txt and below; a change there builds anew.
set -euo pipefail
cd "$(dirname "$0")"
purpose=${1:?usage: tests/kube/tools.sh chart|cluster}
out=${WEIR_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-tools}/kube
# The resources that the chart has of the Prometheus operator.
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

command -v go >/dev/null || { echo "go is missing: install Go 1.26 or newer" >&2; exit 1; }
mkdir -p "$out/bin"

version() { sed -n "s|^\s*$2 \(v[^ ]*\).*|\1|p" "modules/$1/go.mod"; }

# build MODULE LDFLAGS PACKAGE...: unless these binaries are of this go.mod already.
build() {
  local module=$1 flags=$2; shift 2
  cmp -s "modules/$module/go.mod" "$out/$module.mod" && return
  echo "building ${*##*/} (some minutes)"
  go build -C "modules/$module" -trimpath -ldflags "-s -w $flags" -o "$out/bin/" "$@"
  cp "modules/$module/go.mod" "$out/$module.mod"
}

kube=$(version k8s k8s.io/kubernetes)
minor=${kube#v1.}; minor=${minor%%.*}

case $purpose in
  chart)
    # Helm is told by flags which Kubernetes it is made for; without them it believes in an old one.
    helm=helm.sh/helm/v3
    build chart "-X $helm/internal/version.version=$(version chart $helm) \
      -X $helm/pkg/lint/rules.k8sVersionMajor=1 -X $helm/pkg/lint/rules.k8sVersionMinor=$minor \
      -X $helm/pkg/chartutil.k8sVersionMajor=1 -X $helm/pkg/chartutil.k8sVersionMinor=$minor" \
      $helm/cmd/helm github.com/helm-unittest/helm-unittest/cmd/helm-unittest github.com/yannh/kubeconform/cmd/kubeconform
    stamp="$(cat requirements.txt schemas.py; echo $operator)"
    if [ "$stamp" != "$(cat "$out/schemas/stamp" 2>/dev/null)" ]; then
      echo "writing the schemas of Kubernetes and the Prometheus operator"
      python3 -m venv --clear "$out/python"
      "$out/python/bin/pip" install -q --disable-pip-version-check -r requirements.txt
      crds=$(GOWORK=off go mod download -json $operator | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/example/prometheus-operator-crd
      rm -rf "$out/schemas" "$out/crds"
      mkdir -p "$out/crds"
      install -m 644 "$crds"/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml "$out/crds/"
      "$out/python/bin/python" schemas.py "$out/crds" "$out/schemas"
      printf '%s\n' "$stamp" >"$out/schemas/stamp"
    fi ;;
  cluster)
    build etcd "" go.etcd.io/etcd/server/v3
    [ ! -e "$out/bin/server" ] || mv "$out/bin/server" "$out/bin/etcd"
    base=k8s.io/component-base/version
    build k8s "-X $base.gitVersion=$kube -X $base.gitMajor=1 -X $base.gitMinor=$minor" \
      k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl ;;
  *) echo "tests/kube/tools.sh: unknown purpose '$purpose': chart or cluster" >&2; exit 2 ;;
esac
