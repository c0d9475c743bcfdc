#!/bin/sh
# Provision the peers of the benchmark on a Debian 12 machine: packages from Debian (as root),
# PyPI and npm, everything else into one directory.
#
#   ./install.sh [DIRECTORY]    DIRECTORY or $BENCH_OPT or /opt/bench
#
# bench.py looks in $BENCH_OPT: set it to the same directory. A second run installs what is missing.
# Node and Java are optional: without them their peers are skipped.
#   PYTHON=python3.11 ./install.sh    the interpreter of all Python peers
set -eu

here=$(cd "$(dirname "$0")" && pwd)
opt=${1:-${BENCH_OPT:-/opt/bench}}
mkdir -p "$opt"
opt=$(cd "$opt" && pwd)
python=${PYTHON:-python3}

debian() { # debian PACKAGE ...: another apt may be at work, so wait for its lock
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 \
		install -y -q --no-install-recommends "$@"
}

venv() { # venv NAME REQUIREMENT ...: one environment a peer, since peers disagree on versions
	env=$opt/$1
	shift
	[ -x "$env/bin/python" ] || "$python" -m venv "$env"
	"$env/bin/python" -m pip install -q "$@"
}

install_debian() {
	apt-get -o DPkg::Lock::Timeout=600 update -q
	debian gcc make libc6-dev zlib1g-dev libssl-dev openssl python3-venv python3-dev util-linux
	command -v node >/dev/null || debian nodejs npm || echo "ws is left out"
	command -v javac >/dev/null || debian default-jdk-headless || echo "Netty is left out"
	debian libnetty-java || echo "Netty is left out"
	command -v nginx >/dev/null || debian nginx || echo "nginx is left out"
}

install_python() {
	venv twisted "twisted[tls,websocket]==26.10.0" wsproto==1.3.2
	venv autobahn "autobahn[twisted]==26.10.2" "twisted[tls]==26.10.0"
	venv asyncio websockets==17.4 picows==2.3.1 aiohttp==3.14.5 uvloop==0.23.0
	venv txws txws==0.9.1 six==1.17.0 twisted==26.10.0
	venv eventlet eventlet==0.41.3
	venv websockify websockify==0.13.0 numpy==2.4.6 # websockify unmasks by numpy, if numpy is installed
}

install_node() {
	mkdir -p "$opt/node"
	(
		cd "$opt/node"
		[ -f package.json ] || npm init -y >/dev/null 2>&1
		npm install --silent ws@8 bufferutil utf-8-validate
	)
}

# Debian's jars carry no common name: link the ones the echo server needs, so that
# `java -cp lib/*` finds them.
install_netty() {
	mkdir -p "$opt/netty/lib"
	for jar in common buffer codec codec-http handler resolver transport \
		transport-native-unix-common; do
		ln -sf "$(dpkg -L libnetty-java | grep "/netty-$jar\.jar\$")" "$opt/netty/lib/"
	done
	javac -cp "$opt/netty/lib/*" -d "$opt/netty" "$here/servers/NettyEcho.java"
}

if [ "$(id -u)" = 0 ]; then install_debian; fi
make -C "$here" BENCH_OPT="$opt"
install_python
if command -v npm >/dev/null; then install_node || echo "ws is left out"; fi
if command -v javac >/dev/null && dpkg -s libnetty-java >/dev/null 2>&1; then install_netty; fi
echo "ready: BENCH_OPT=$opt $here/bench.py --smoke"
