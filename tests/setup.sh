#!/usr/bin/env bash
# Installs by package name what this tree needs and the machine lacks.
#   tests/setup.sh demo | test | pictures | bench | chart | compose | kube
# With root or a password-less sudo it installs; otherwise it prints the one line to run and stops.
set -euo pipefail
cd "$(dirname "$0")"
purpose=${1:?usage: tests/setup.sh demo|test|pictures|bench|chart|compose|kube}
tools=${WEIR_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/weir-tools}

build="g++ make pkg-config libssl-dev zlib1g-dev"
case $purpose in
  demo) packages="$build postgresql" ;;
  test) packages="$build postgresql kcat logrotate prometheus python3-venv" ;;
  pictures) packages="$build postgresql prometheus python3-venv chromium" ;;
  bench) packages="$build postgresql rsyslog rsyslog-kafka python3-venv" ;;
  chart) packages="$build python3-venv" ;;
  compose)
    packages="$build debootstrap iptables prometheus python3-venv systemd"
    # There are other packages of it, which exclude Debian's.
    command -v dockerd >/dev/null || packages+=" docker.io" ;;
  kube) packages="$build bubblewrap iproute2 openssl python3-venv" ;;
  *) echo "tests/setup.sh: unknown purpose '$purpose': demo, test, pictures, bench, chart, compose or kube" >&2; exit 2 ;;
esac

missing=
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=" $package"
done
if [ -n "$missing" ]; then
  install="apt-get update -q && apt-get install -y --no-install-recommends$missing"
  if [ "$(id -u)" = 0 ]; then become=
  elif sudo -n true 2>/dev/null; then become="sudo -n"
  else
    echo "Missing packages. Please run this line, then try again:" >&2
    echo "  sudo sh -c '$install'" >&2
    exit 1
  fi
  echo "installing:$missing"
  log=$(mktemp)
  $become env DEBIAN_FRONTEND=noninteractive sh -c "$install" >"$log" 2>&1 || { tail -30 "$log" >&2; exit 1; }
  rm -f "$log"
fi

command -v cargo >/dev/null || { echo "cargo is not on the PATH: install the Rust toolchain first" >&2; exit 1; }
case $purpose in
  demo) exit 0 ;;
  chart) exec kube/tools.sh chart ;;
  compose) exec compose/tools.sh ;;
  kube) kube/tools.sh chart; exec kube/tools.sh cluster ;;
esac

# Kafka's own command-line tools (and, for the benches, its broker), once, from Maven.
jars=$tools/kafka-$(sed -n 's/.*<kafka.version>\(.*\)<.*/\1/p' java/pom.xml)
if [ ! -e "$jars/.done" ]; then
  for need in java mvn; do
    command -v $need >/dev/null || { echo "$need is missing: install a JDK of version 17 or newer and Maven" >&2; exit 1; }
  done
  echo "fetching Kafka's own tools from Maven"
  mkdir -p "$jars"
  mvn -q -B -f java/pom.xml dependency:copy-dependencies -DoutputDirectory="$jars"
  touch "$jars/.done"
fi

# Python clients, once, in an environment of their own.
venv=$tools/python
if ! cmp -s python/requirements.txt "$venv/requirements.txt"; then
  echo "installing the Python clients"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r python/requirements.txt
  # kafka-python's integration tests are only in its source package.
  rm -rf "$tools/kafka-python"
  mkdir -p "$tools/kafka-python"
  "$venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary :all: -d "$tools/kafka-python" \
    "$(grep '^kafka-python==' python/requirements.txt)"
  tar -xzf "$tools"/kafka-python/*.tar.gz -C "$tools/kafka-python" --strip-components=1
  # Without this, `test` would be the standard library's.
  touch "$tools/kafka-python/test/__init__.py"
  # Its fixtures look for a broker's folder, also where the broker runs elsewhere.
  mkdir -p "$tools/kafka-python/servers/4.1.0/kafka-bin"
  cp python/kafka_python_service.py "$tools/kafka-python/test/service.py"
  cp python/requirements.txt "$venv/requirements.txt"
fi

# Packages from npm, once for each lock file.
node_packages() {
  local target=$tools/$2
  cmp -s "$1/package-lock.json" "$target/package-lock.json" && return
  command -v npm >/dev/null || { echo "npm is missing: install Node.js" >&2; exit 1; }
  echo "installing $3 from npm"
  rm -rf "$target"
  mkdir -p "$target"
  cp "$1/package.json" "$1/package-lock.json" "$target"
  (cd "$target" && npm ci --silent --ignore-scripts --no-audit --no-fund) || { rm -rf "$target"; exit 1; }
}
case $purpose in
  test) node_packages dashboards/schema grafana "Grafana's published types" ;;
  pictures) node_packages dashboards/draw draw "what draws the pictures" ;;
esac
