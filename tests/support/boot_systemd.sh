#!/bin/bash
# Boot systemd as the first process of namespaces of its own, with the unit of deploy/ and Dastak installed as the how-to
# says, on a copy of this machine's files that vanishes with it. What probe.sh finds is written to FOLDER/probe.
# unshare --pid --mount --fork --kill-child --mount-proc boot_systemd.sh REPOSITORY SITE_PACKAGES FOLDER PORT
set -eu

repository=$1 packages=$2 folder=$3 port=$4
mount -t tmpfs tmpfs "$folder/layers"
mkdir "$folder/layers/"{upper,work,root}
root=$folder/layers/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/layers/upper,workdir=$folder/layers/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mkdir "$root/sys/fs/cgroup/systemd"
mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
mkdir "$root/found"
mount --bind "$folder/found" "$root/found"
# All that is written to any disk stands here as well.
mkdir "$root/upper"
mount --bind "$folder/layers/upper" "$root/upper"

# The program as it is installed by pip, for the system's own Python: the service sees nobody's home.
rm -rf "$root/opt/dastak"
/usr/bin/python3 -m venv --without-pip "$root/opt/dastak"
site=$(echo "$root"/opt/dastak/lib/python3.*/site-packages)
mkdir "$root/opt/dastak/packages"
mount --bind "$packages" "$root/opt/dastak/packages"
echo /opt/dastak/packages >"$site/packages.pth"
cp -r "$repository/src/dastak" "$site/"
printf '#!/opt/dastak/bin/python\nfrom dastak.cli import main\nmain()\n' >"$root/opt/dastak/bin/dastak"
chmod 755 "$root/opt/dastak/bin/dastak"

units=$root/etc/systemd/system
cp "$repository/deploy/systemd/dastak.service" "$units/"
cp "$repository/deploy/systemd/dastak.sysusers" "$root/usr/lib/sysusers.d/dastak.conf"
systemd-sysusers --root="$root" dastak.conf
install -d -m 700 "$root/etc/dastak" "$root/var/lib/dastak"
chroot "$root" chown dastak:dastak /etc/dastak /var/lib/dastak
chroot "$root" setpriv --reuid=dastak --regid=dastak --clear-groups env -i HOME=/var/lib/dastak \
    /opt/dastak/bin/dastak init --yes --directory /etc/dastak --database /var/lib/dastak/dastak.db
printf 'DASTAK__SERVER__LISTEN=127.0.0.1:%s\nDASTAK__SIMULATOR__ENABLED=true\n' "$port" >"$root/etc/default/dastak"

cat >"$units/probe.target" <<'END'
[Unit]
Wants=dastak.service probe.service
END
mkdir "$units/dastak.service.d"
printf '[Service]\nStandardError=append:/found/log\n' >"$units/dastak.service.d/log.conf"
cat >"$units/probe.service" <<'END'
[Unit]
# It is started when Dastak has said that it is ready.
After=dastak.service
[Service]
Type=oneshot
ExecStart=/bin/sh /found/probe.sh
ExecStopPost=/bin/systemctl exit 0
StandardOutput=file:/found/told
StandardError=file:/found/told
END
cat >"$folder/found/probe.sh" <<END
dastak=/opt/dastak/bin/dastak
systemctl show dastak --property=ActiveState,SubState,NRestarts
\$dastak health --ready --url http://127.0.0.1:$port
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/\$(systemctl show dastak --property=MainPID --value)/status
systemctl stop dastak
systemctl show dastak --property=Result,ExecMainStatus
find /upper -newer /found/probe.sh -user dastak -type f -printf '/%P\\n'
END

cd "$root"
mkdir -p old
pivot_root . old
umount --lazy /old
# Credentials are mounted in a namespace of their own and come back from there.
mount --make-rshared /
export container=lxc
exec /lib/systemd/systemd --system --unit=probe.target --show-status=no --log-level=err
