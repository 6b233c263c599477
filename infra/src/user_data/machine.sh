# Works on Amazon Linux 2023 and Debian 12. May be run again at any time: what is as it should be is left alone, and a
# running node is never restarted by it (that is kvctl's to do, one node after the other).
# Where /etc/kvstore/aws.env exists it is read first: AWS_ENDPOINT_URL, AWS_CA_BUNDLE and the like for an AWS that is
# not the public one. No secret is in this text, in an argument or in what it prints.
set -Eeuo pipefail
set +x
umask 077
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export AWS_DEFAULT_REGION=$REGION AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5 AWS_PAGER=

ETC=/etc/kvstore
SECRETS=$ETC/credentials
DATA=/var/lib/kvnode
PROGRAM=/usr/local/lib/kvstore/$SHA256/kvnode
LINK=/usr/local/bin/kvnode
# How long to wait for what a new machine may not have yet: identity, way out, volume, artifact, secrets.
PATIENCE=900
RESTART=
RELOAD=

say() { printf 'kvstore: %s\n' "$*"; }
die() {
    printf 'kvstore: FAILED: %s\n' "$*" >&2
    exit 1
}
trap 'die "line $LINENO: $BASH_COMMAND"' ERR

# retry WHAT COMMAND...: until it succeeds, with growing pauses.
retry() {
    local what=$1 deadline=$((SECONDS + PATIENCE)) pause=1
    shift
    until "$@"; do
        ((SECONDS < deadline)) || die "$what: gave up after $PATIENCE s"
        say "$what: not yet; again in $pause s"
        sleep "$pause"
        pause=$((pause < 16 ? pause * 2 : 16))
    done
}

# place FILE OWNER MODE: standard input becomes the file, whole or not at all. Succeeds if that changed its content.
place() {
    local text part
    text=$(cat)
    if printf '%s\n' "$text" | cmp -s - "$1"; then
        if [ "$(stat -c %U:%G:0%a "$1")" != "$2:$3" ]; then
            { chown "$2" "$1" && chmod "$3" "$1"; } || die "cannot set owner and mode of $1"
        fi
        return 1
    fi
    part=$(mktemp "$1.XXXXXX") || die "cannot write beside $1"
    { printf '%s\n' "$text" >"$part" && chown "$2" "$part" && chmod "$3" "$part" && mv -f "$part" "$1"; } ||
        die "cannot write $1"
    say "wrote $1"
}

# What a small image may lack.
install_tools() {
    local missing=()
    command -v cmp >/dev/null || missing+=(diffutils)
    command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
    if command -v apt-get >/dev/null; then
        command -v aws >/dev/null || missing+=(awscli)
        ((${#missing[@]} == 0)) && return 0
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
    else
        command -v aws >/dev/null || missing+=(awscli-2)
        ((${#missing[@]} == 0)) && return 0
        dnf install -y -q "${missing[@]}"
    fi
}

add_user() {
    if getent passwd kvnode >/dev/null; then return 0; fi
    useradd --system --user-group --no-create-home --home-dir "$DATA" --shell /usr/sbin/nologin kvnode
    say "added the user kvnode"
}

# The volume by the name it was attached with or, where the system gives it another, as the only volume of the machine
# that nothing uses.
find_volume() {
    local disk free=()
    for disk in "$VOLUME" "${VOLUME/sd/xvd}"; do
        if [ -b "$disk" ]; then
            DEVICE=$(readlink -f "$disk")
            return 0
        fi
    done
    for disk in $(lsblk -dnpo NAME,MODEL | sed -n 's/ .*Amazon Elastic Block Store.*//p'); do
        if [ -z "$(lsblk -no MOUNTPOINT "$disk" | tr -d '\n')" ] && [ "$(lsblk -no NAME "$disk" | wc -l)" = 1 ]; then
            free+=("$disk")
        fi
    done
    ((${#free[@]} < 2)) || die "which volume holds the data? ${free[*]} are all free"
    ((${#free[@]} == 1)) || return 1
    DEVICE=${free[0]}
}

# Only a volume without any known content, whose beginning is all zeros, is given a file system.
format_volume() {
    local status=0
    blkid -p "$DEVICE" >/dev/null || status=$?
    if [ "$status" = 2 ]; then
        cmp -s -n 4194304 "$DEVICE" /dev/zero || die "$DEVICE holds something that is no file system; it is left alone"
        mkfs.ext4 -q -m 1 -L kvstore-data "$DEVICE" </dev/null
        say "made a file system on $DEVICE"
    elif [ "$status" != 0 ]; then
        die "$DEVICE: its content is not clear (blkid: $status); it is left alone"
    fi
    TYPE=$(blkid -p -o value -s TYPE "$DEVICE")
    case $TYPE in ext4 | xfs) ;; *) die "$DEVICE holds ${TYPE:-partitions}, not ext4 or xfs; it is left alone" ;; esac
    VOLUME_UUID=$(blkid -p -o value -s UUID "$DEVICE")
}

mount_volume() {
    if ! mountpoint -q "$DATA"; then
        retry "the data volume $VOLUME" find_volume
        format_volume
        install -d -m 0700 "$DATA"
        # nofail: without its volume the machine still starts, so that it can be looked at; the node does not.
        local line="UUID=$VOLUME_UUID $DATA $TYPE noatime,nodev,nosuid,noexec,nofail,x-systemd.device-timeout=90s 0 2"
        if ! grep -qxF "$line" /etc/fstab; then
            sed -i "\\#[[:space:]]$DATA[[:space:]]#d" /etc/fstab
            printf '%s\n' "$line" >>/etc/fstab
            systemctl daemon-reload
        fi
        mount "$DATA"
        say "mounted $DEVICE on $DATA"
    fi
    # The volume may come from another machine, where the user had another number.
    if [ "$(stat -c %U:%G:%a "$DATA")" != kvnode:kvnode:700 ]; then
        chown -R kvnode:kvnode "$DATA"
        chmod 0700 "$DATA"
    fi
}

is_artifact() { printf '%s  %s\n' "$SHA256" "$1" | sha256sum --check --status; }

download() {
    rm -f "$PROGRAM.part"
    aws s3 cp --only-show-errors --no-progress "s3://$BUCKET/$OBJECT" "$PROGRAM.part" || return 1
    if ! is_artifact "$PROGRAM.part"; then
        rm -f "$PROGRAM.part"
        die "s3://$BUCKET/$OBJECT has not the checksum $SHA256; it is not installed"
    fi
}

install_program() {
    install -d -m 0755 /usr/local/lib/kvstore "${PROGRAM%/*}"
    if ! [ -f "$PROGRAM" ] || ! is_artifact "$PROGRAM"; then
        retry "the artifact s3://$BUCKET/$OBJECT" download
        chmod 0755 "$PROGRAM.part"
        mv -f "$PROGRAM.part" "$PROGRAM"
        say "installed $PROGRAM"
    fi
    if [ "$(readlink "$LINK" || true)" != "$PROGRAM" ]; then
        ln -sfn "$PROGRAM" "$LINK.part"
        mv -fT "$LINK.part" "$LINK"
        RESTART="$RESTART program"
    fi
}

read_secret() {
    SECRET=$(aws ssm get-parameter --with-decryption --name "$1" --query Parameter.Value --output text) || return 1
    [ -n "$SECRET" ] && [ "$SECRET" != None ]
}

# secret NAME FILE OWNER MODE
secret() {
    retry "the parameter $1" read_secret "$1"
    if place "$SECRETS/$2" "$3" "$4" <<<"$SECRET"; then RELOAD="$RELOAD $2"; fi
    SECRET=
}

install_secrets() {
    install -d -m 0750 -o root -g kvnode "$ETC" "$SECRETS"
    secret "$PARAMETERS/ca.pem" ca.pem root:kvnode 0640
    secret "$PARAMETERS/tokens" tokens root:kvnode 0640
    secret "$PARAMETERS/gossip-keyring" gossip-keyring kvnode:kvnode 0600
    secret "$PARAMETERS/nodes/$NODE/certificate.pem" certificate.pem root:kvnode 0640
    secret "$PARAMETERS/nodes/$NODE/key.pem" key.pem kvnode:kvnode 0600
}

install_unit() {
    if place "$ETC/kvnode.toml" root:kvnode 0640 <<<"$CONFIG"; then RESTART="$RESTART configuration"; fi
    if place /etc/systemd/system/kvnode.service root:root 0644 <<<"$UNIT"; then
        systemctl daemon-reload
        RESTART="$RESTART unit"
    fi
    runuser -u kvnode -- "$LINK" check-config --config "$ETC/kvnode.toml"
    systemctl --quiet enable kvnode.service
}

listens() { (exec 3<>"/dev/tcp/$ADDRESS/$PORT") 2>/dev/null; }

start_node() {
    if systemctl --quiet is-active kvnode.service; then
        if [ -n "$RELOAD" ]; then systemctl reload kvnode.service; fi
        if [ -n "$RESTART" ]; then say "kvnode goes on with what it had; changed for its next start:$RESTART"; fi
        return 0
    fi
    systemctl reset-failed kvnode.service 2>/dev/null || true
    systemctl start kvnode.service || true
    local deadline=$((SECONDS + 60))
    until listens; do
        if ((SECONDS >= deadline)) || systemctl --quiet is-failed kvnode.service; then
            systemctl --no-pager --lines=0 status kvnode.service || true
            journalctl --no-pager --unit=kvnode.service --lines=30 || true
            die "kvnode does not listen on $ADDRESS:$PORT"
        fi
        sleep 0.2
    done
}

main() {
    [ "$(id -u)" = 0 ] || die "only root can do this"
    # Two at once would write the same files.
    exec 9>/run/kvstore-user-data.lock
    flock --nonblock 9 || die "another run of this is under way"
    if [ -r "$ETC/aws.env" ]; then
        set -a
        # shellcheck source=/dev/null
        . "$ETC/aws.env"
        set +a
    fi
    say "making this machine node $NODE of $CLUSTER"
    retry "tools" install_tools
    add_user
    mount_volume
    install_program
    install_secrets
    install_unit
    start_node
    say "done: kvnode listens on $ADDRESS:$PORT"
}

# A function, so that all of this is read before anything is done.
main "$@" </dev/null
