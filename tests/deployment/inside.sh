#!/bin/bash
# Runs in a clean root, as root: docs/deployment.md from nothing to an upgrade. `doc` runs a command of the documents as it stands
# there (tests/server/test_documents.py holds that it does); everything else is what an operator would look at.
set -euo pipefail
cd /root
began=$SECONDS
export LANG=C.UTF-8 PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_DISABLE_PIP_VERSION_CHECK=1

step() { printf '\n=== %4d s  %s\n' $((SECONDS - began)) "$*"; }

# With the version, and the major version of PostgreSQL, that this root has. Later arguments are what is typed.
doc() {
  local command=${1//VERSION/$version}
  command=${command//postgresql\/15/postgresql\/$postgres}
  printf '$ %s\n' "$command"
  eval "$command"
}

as_pi() { su pi -c "cd; export PATH=/usr/local/bin:/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels USER=pi; $1"; }

await() { # a condition, for so long as a busy machine takes
  local left=${2:-240}
  until eval "$1"; do
    left=$((left - 1))
    [ $left -gt 0 ] || { echo "NOT REACHED: $1" >&2; tail -n 20 /run/units/*.log >&2; exit 1; }
    sleep 0.5
  done
}

query() { (cd / && su postgres -c "psql -XAtqc \"$1\" sgmp"); }
readings() { query 'SELECT count(*) FROM sgmp.reading'; }

version=$(cat /version)
postgres=$(basename "$(ls -d /etc/postgresql/*)")
systemctl start postgresql

step "1. Install"
doc 'sudo systemctl disable --now mosquitto'
doc 'sudo python3 -m venv /opt/sgmp'
doc "sudo -E /opt/sgmp/bin/pip install -q 'sgmp-VERSION-py3-none-any.whl[server]'"

step "2. Database"
printf 'owner-password\nowner-password\n' | doc 'sudo -u postgres createuser --createrole --replication --pwprompt sgmp_owner'
doc 'sudo -u postgres createdb --owner sgmp_owner sgmp'

step "3. Make the server"
export SGMP_DATABASE_URL=postgresql://sgmp_owner:owner-password@127.0.0.1:5432/sgmp
init='/opt/sgmp/bin/sgmp-console server init /etc/sgmp --host sgmp.example.org --admin ada@example.org --laptop ada'
doc "$init --dry-run"
doc "$init" | tee /root/init.txt
initial=$(sed -n 's/.*signs in with \([^ ]*\) .*/\1/p' /root/init.txt)
[ -n "$initial" ]
unset SGMP_DATABASE_URL
export PATH=/opt/sgmp/bin:$PATH
doc 'install -o postgres -m 600 /etc/sgmp/database/server.* /etc/postgresql/15/main/'
cat > /etc/postgresql/$postgres/main/conf.d/sgmp.conf <<END
listen_addresses = '*'
ssl = on
ssl_cert_file = '/etc/postgresql/$postgres/main/server.crt'
ssl_key_file = '/etc/postgresql/$postgres/main/server.key'
END
doc "echo 'hostssl sgmp all all scram-sha-256' >> /etc/postgresql/15/main/pg_hba.conf"
doc 'systemctl restart postgresql'

step "4. Run it"
doc 'cp /etc/sgmp/systemd/* /etc/systemd/system/ && systemctl daemon-reload'
/usr/bin/systemd-analyze verify /etc/systemd/system/sgmp-*
doc 'systemctl enable --now sgmp-broker sgmp-migrate sgmp-ingest sgmp-ingest_2 sgmp-watch sgmp-revocation'
doc 'systemctl enable --now sgmp-backup.timer sgmp-verify_backup.timer'
await '[ "$(grep -c "as sgmp_ingest" /run/units/sgmp-broker.log)" -ge 2 ]'

step "5. The first laptop, and what Ada does in its window"
useradd --create-home ada
install -o ada -m 600 /etc/sgmp/connections/ada.toml /home/ada/ada.toml
as_ada() { su ada -c "cd; PATH=/opt/sgmp/bin:\$PATH; $1"; }
as_ada 'sgmp-console connections add ada.toml'
as_ada 'sgmp-console connections list'
python3 - <<'END' &
import os
os.execv("/opt/sgmp/bin/python", ["python", "-m", "sgmp_console.demo.simulator", "--egauge-port", "8080", "--zone", "Europe/Berlin",
    "--epoch", "1782000000000", "--ready-file", "/tmp/simulator"])
END
await '[ -s /tmp/simulator ]'
house=$(as_ada "/opt/sgmp/bin/python /window.py ada@example.org '$initial' 'violet ladder 41 quarry' 127.0.0.1:8080")
echo "House One has the number $house"

step "6. Its Pi, by sgmp_edge/README.md"
useradd --create-home pi && echo 'pi ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/pi
cp -r /sgmp_edge /home/pi/sgmp_edge && chown -R pi /home/pi/sgmp_edge
doc 'sgmp-console server credentials /etc/sgmp --house "House One"' | tail -n +2 > /home/pi/credentials.txt
chown pi /home/pi/credentials.txt
as_pi 'python3 -m virtualenv -q ~/sgmp_venv -p python3'
as_pi '. ~/sgmp_venv/bin/activate; cd ~/sgmp_edge; pip install -q -r requirements.txt'
as_pi '. ~/sgmp_venv/bin/activate; cd ~/sgmp_edge; python install_certs.py < ~/credentials.txt'
as_pi "cd ~/sgmp_edge; cp config_example.py config.py; sed -i 's/^house_id = .*/house_id = $house/' config.py"
as_pi 'sudo ~/sgmp_venv/bin/python ~/sgmp_edge/Main_Publisher.py install --user $USER --home ~/sgmp_edge'
as_pi 'sudo systemctl enable --now sgmp-edge'
await '[ "$(readings)" -gt 0 ]'
echo "FIRST READING after $((SECONDS - began)) s"

step "A second laptop"
doc "${init/--laptop ada/--laptop grace}" | grep -E 'grace|Restart' || true
doc 'systemctl restart sgmp-broker'
useradd --create-home grace
install -o grace -m 600 /etc/sgmp/connections/grace.toml /home/grace/grace.toml
su grace -c "cd; PATH=/opt/sgmp/bin:\$PATH; sgmp-console connections add grace.toml
  SGMP_DATABASE_URL='postgresql://ada%40example.org:violet%20ladder%2041%20quarry@sgmp.example.org:5432/sgmp' sgmp-console connections test sgmp"

step "Backup"
doc 'sgmp-console server backup /etc/sgmp --to /var/lib/sgmp-backups --keep 14'
doc 'sgmp-console server verify-backup /var/lib/sgmp-backups'
systemctl start sgmp-backup sgmp-verify_backup
backed_up=$(readings)

step "Restore"
doc "systemctl stop 'sgmp-*' postgresql"
doc 'mv /var/lib/postgresql/15/main /var/lib/postgresql/15/main.old && mv /etc/sgmp /etc/sgmp.old'
doc 'sgmp-console server restore-backup /var/lib/sgmp-backups --data /var/lib/postgresql/15/main --server /etc/sgmp'
doc 'systemctl start postgresql'
await "su postgres -c 'psql -XAtqc SELECT sgmp' >/dev/null 2>&1"
restored=$(readings)
doc "$init"
systemctl enable --now sgmp-broker sgmp-migrate sgmp-ingest sgmp-ingest_2 sgmp-watch sgmp-revocation sgmp-edge
echo "$restored readings restored"
[ "$restored" -gt 0 ] && [ "$restored" -le "$backed_up" ]
await "[ \$(readings) -gt $backed_up ]"

step "Upgrade"
version=$(cat /newer_version)
doc "sudo -E /opt/sgmp/bin/pip install -q 'sgmp-VERSION-py3-none-any.whl[server]'"
doc "$init"
doc 'cp /etc/sgmp/systemd/* /etc/systemd/system/ && systemctl daemon-reload'
for unit in sgmp-migrate sgmp-ingest sgmp-ingest_2 sgmp-watch; do systemctl restart $unit; done
sgmp-console --version | grep -F "$version"
before=$(readings)
await "[ \$(readings) -gt $before ]"

step "Revocation ends the connection"
lines=$(wc -l < /run/units/sgmp-broker.log)
doc 'sgmp-console server credentials /etc/sgmp --house "House One" --revoke'
await "tail -n +$((lines + 1)) /run/units/sgmp-broker.log | grep -q 'certificate verify failed'"
await "tail -n +$((lines + 1)) /run/units/sgmp-broker.log | grep -q 'as sgmp_ingest'"
if tail -n +$((lines + 1)) /run/units/sgmp-broker.log | grep "as sgmp_house_$house"; then exit 1; fi
await '! ss -tn state established | grep -q ":8883.*$(cat /run/units/sgmp-edge.pid)"'

step "Done"
systemctl stop 'sgmp-*' postgresql
if grep -l Traceback /run/units/*.log; then exit 1; fi
echo "FROM NOTHING TO AN UPGRADE in $((SECONDS - began)) s"
