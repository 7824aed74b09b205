#!/bin/bash
# Makes the base image of this site, a root file system with Debian 12, Python and a small package repository of its
# own, so that the roles can use apt without any network: CACHE/images/debian_12.rootfs.tar. Run again, it does nothing
# unless the recipe (this file) has changed. Needs root and debootstrap.
#
#   HIVE_CACHE            where to put it (default /var/cache/hive)
#   HIVE_DEBIAN_MIRROR    where to load packages from (default: debootstrap's own)
set -euo pipefail
shopt -s inherit_errexit

suite=bookworm
included=python3,python3-apt,curl,ca-certificates
offered=(pdns-server pdns-backend-mysql mariadb-server mariadb-client nginx-light systemd-sysv dbus)

images="${HIVE_CACHE:-/var/cache/hive}/images"
result="$images/debian_12.rootfs.tar"
recipe="$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-16)"

if [[ -f "$result" && "$(cat "$result.recipe" 2>/dev/null)" == "$recipe" ]]; then
  echo "base image: $result is there"
  exit 0
fi
command -v debootstrap >/dev/null || { echo 'debootstrap is missing: apt-get install debootstrap' >&2; exit 1; }
[[ $EUID == 0 ]] || { echo 'debootstrap needs root' >&2; exit 1; }

mkdir -p "$images"
# Two calls at once must not make it twice.
exec 9>"$images/.lock"
flock 9
if [[ -f "$result" && "$(cat "$result.recipe" 2>/dev/null)" == "$recipe" ]]; then exit 0; fi

work="$(mktemp -d "$images/.making.XXXXXX")"
trap 'rm -rf --one-file-system "$work"' EXIT
root="$work/root"

echo 'base image: installing Debian (one to two minutes)'
debootstrap --variant=minbase --include="$included" "$suite" "$root" ${HIVE_DEBIAN_MIRROR:+"$HIVE_DEBIAN_MIRROR"} >"$work/log" 2>&1 ||
  { tail -n 20 "$work/log" >&2; exit 1; }

# No daemon starts while a package is installed in a container, and nothing is installed that was not asked for.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/apt/apt.conf.d/90small" <<'EOF'
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
EOF
cat >"$root/etc/dpkg/dpkg.cfg.d/90small" <<'EOF'
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*
path-exclude /usr/share/locale/*
EOF

echo 'base image: loading the packages that the roles install'
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "${proxies[@]}" chroot "$root" "$@"; }
proxies=()
for name in http_proxy https_proxy no_proxy; do [[ -n "${!name:-}" ]] && proxies+=("$name=${!name}"); done
apt-config dump 2>/dev/null | grep -iE '^Acquire::https?::Proxy' >"$root/etc/apt/apt.conf.d/91proxy" || true
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/opt/apt/partial"
in_root apt-get update -q >>"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
in_root apt-get install -q -y --download-only -o Dir::Cache::archives=/opt/apt "${offered[@]}" >>"$work/log" 2>&1 ||
  { tail -n 20 "$work/log" >&2; exit 1; }
rm -rf "$root/opt/apt/partial" "$root/opt/apt/lock" "$root/etc/apt/apt.conf.d/91proxy" "$root"/var/cache/apt/archives/*.deb
: >"$root/etc/resolv.conf"

# The index of the small repository, as apt reads it.
for package in "$root"/opt/apt/*.deb; do
  in_root dpkg-deb --field "/opt/apt/${package##*/}"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${package##*/}" "$(stat -c %s "$package")" "$(sha256sum <"$package" | cut -d' ' -f1)"
done >"$root/opt/apt/Packages"
echo 'deb [trusted=yes] file:/opt/apt ./' >"$root/etc/apt/sources.list"
rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
in_root apt-get update -q >>"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }

tar --create --file "$work/rootfs.tar" --directory "$root" --sort=name --numeric-owner --one-file-system \
  --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' --exclude='./tmp/*' .
mv "$work/rootfs.tar" "$result"
echo "$recipe" >"$result.recipe"
echo "base image: $result ($(($(stat -c %s "$result") / 1000000)) MB)"
