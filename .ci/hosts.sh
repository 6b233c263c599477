#!/bin/sh
# The root folder of the throw-away machines on which user data is executed: Debian 12 with systemd and cloud-init,
# kept in target/hosts/base and made again only when this file or its requirements change. Needs root, the programs
# below, the emulator's Python, and once the network. What is missing is said loudly; with CI=true it is a failure.
set -eu
cd "$(dirname "$0")/.."
requirements=kvctl/tests/machine/requirements-hosts.txt
hosts=target/hosts

lack() {
    echo "LEFT OUT: machines that execute the user data need $1" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
}

lacking() {
    for program in debootstrap systemd-nspawn nsenter ip losetup mount mkfs.ext4 mkswap openssl curl; do
        command -v "$program" >/dev/null || echo "$program"
    done
}

[ "$(id -u)" = 0 ] || lack "root"
[ -z "$(lacking)" ] || lack "these programs: $(lacking | tr '\n' ' ')(apt install debootstrap systemd-container iproute2 \
e2fsprogs openssl curl)"
python=$(sh .ci/emulator.sh)
[ -n "$python" ] || lack "the emulator's Python"

wanted=$(cat .ci/hosts.sh "$requirements" | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$hosts/base.made" 2>/dev/null || true)" = "$wanted" ]; then exit 0; fi

echo "making $hosts/base: about two minutes, once"
rm -rf "$hosts/base" "$hosts/base.part" "$hosts/base.made"
mkdir -p "$hosts"
base=$hosts/base.part
debootstrap --variant=minbase \
    --include=systemd,systemd-sysv,dbus,udev,python3,ca-certificates,curl,iproute2,e2fsprogs,procps,openssl,passwd \
    bookworm "$base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$hosts/debootstrap.log" 2>&1 || {
    tail -n 20 "$hosts/debootstrap.log" >&2
    exit 1
}
DEBIAN_FRONTEND=noninteractive chroot "$base" apt-get install --yes --no-install-recommends cloud-init \
    >>"$hosts/debootstrap.log" 2>&1
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$base/usr/share/aws-cli" \
    --only-binary=:all: --python-version 3.11 --implementation cp --platform manylinux2014_x86_64 \
    --requirement "$requirements"
cat >"$base/usr/local/bin/aws" <<'AWS'
#!/bin/sh
PYTHONPATH=/usr/share/aws-cli exec python3 -m awscli "$@"
AWS
chmod 0755 "$base/usr/local/bin/aws"

# User data from the machine's own disk, the network from outside, and nothing but scripts.
mkdir -p "$base/var/lib/cloud/seed/nocloud"
cat >"$base/etc/cloud/cloud.cfg.d/90_machine.cfg" <<'CLOUD'
datasource_list: [NoCloud]
network: {config: disabled}
preserve_hostname: true
users: []
cloud_init_modules: []
cloud_config_modules: []
cloud_final_modules: [scripts-user, final-message]
CLOUD

# Inside a container systemd leaves out fstab's devices, which a machine's volume is; this takes its place.
cat >"$base/etc/systemd/system/fstab-devices.service" <<'UNIT'
[Unit]
Description=Mount the devices of fstab, as systemd does outside of containers
DefaultDependencies=no
Before=local-fs.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount -a
[Install]
WantedBy=local-fs.target
UNIT
mkdir -p "$base/etc/systemd/system/local-fs.target.wants"
ln -s ../fstab-devices.service "$base/etc/systemd/system/local-fs.target.wants/"
for unit in systemd-resolved.service systemd-networkd.service systemd-networkd-wait-online.service networking.service \
    ifupdown-wait-online.service systemd-timesyncd.service systemd-udevd.service console-getty.service getty.target \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer; do
    ln -sf /dev/null "$base/etc/systemd/system/$unit"
done
: >"$base/etc/machine-id"
: >"$base/etc/fstab"
rm -f "$base/etc/hostname" "$base/etc/resolv.conf"
echo '127.0.0.1 localhost' >"$base/etc/hosts"
rm -rf "$base"/var/cache/apt/archives/*.deb "$base"/var/lib/apt/lists/*
mv "$base" "$hosts/base"
echo "$wanted" >"$hosts/base.made"
