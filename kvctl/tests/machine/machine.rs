//! One throw-away machine: a root disk over the shared base, a volume, an address, and systemd as its first process.
//!
//! cloud-init finds the user data on the root disk and runs it as on EC2: once for each instance. Dropping a machine
//! is cutting its power and throwing it away.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::lab::{Lab, attempt, run, wait_until};
use crate::needs;

/// Exit status of systemd-nspawn when the machine wants to be started again.
const REBOOT: i32 = 133;
/// Size of a data volume; sparse.
const VOLUME_BYTES: u64 = 1 << 30;
/// Control groups that a machine needs for itself, else several systemds fight; the first for pure version 2.
const CGROUPS: [&str; 6] = ["", "systemd", "unified", "memory", "pids", "cpu"];
/// What user data writes, beside the data.
const WRITTEN: &str = "/etc/kvstore /usr/local /etc/systemd/system /etc/fstab /etc/passwd /etc/group";

/// What is on the data volume at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    /// Nothing: zeros.
    Empty,
    /// Nothing, and it is not attached yet.
    Later,
    /// Bytes that nobody knows.
    Noise,
    /// A partition table.
    Partitioned,
    /// Swap space.
    Swap,
}

/// A machine that runs, unless its power was cut.
pub(crate) struct Machine {
    name: String,
    /// Its name among all machines of this computer: network namespace and control groups.
    full_name: String,
    folder: PathBuf,
    user_data: String,
    /// Its loop device.
    device: String,
    attached: bool,
    /// How often it got a new root disk.
    generation: u32,
    running: Option<Child>,
}

impl Machine {
    /// Makes and starts a machine.
    pub(crate) fn boot(lab: &Lab, name: &str, address: &str, user_data: &str, volume: Volume) -> Self {
        let folder = lab.folder.join(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("a folder");
        let disk = folder.join("volume");
        fill(&disk, volume);
        let mut machine = Self {
            name: name.to_owned(),
            full_name: format!("{}-{name}", lab.name),
            folder,
            user_data: user_data.to_owned(),
            device: run(&["losetup", "--find", "--show", disk.to_str().expect("a plain path")]),
            attached: volume != Volume::Later,
            generation: 0,
            running: None,
        };
        machine.plug_in(lab, address);
        machine.make_root();
        machine.start();
        machine
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn plug_in(&self, lab: &Lab, address: &str) {
        let (own, outer) = (&self.full_name, format!("v-{}", self.name));
        run(&["ip", "netns", "add", own]);
        lab.ip(&format!("link add {outer} type veth peer name host0 netns {own}"));
        lab.ip(&format!("link set {outer} master br0 up"));
        for line in [format!("addr add {address}/16 dev host0"), "link set host0 up".into(), "link set lo up".into()] {
            run(&["ip", "-n", own].into_iter().chain(line.split(' ')).collect::<Vec<_>>());
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// A new root disk: the base, cloud-init's seed, and where the emulator is.
    fn make_root(&mut self) {
        self.generation += 1;
        let layers = self.folder.join(format!("layers-{}", self.generation));
        for folder in [layers.join("up"), layers.join("work"), self.root()] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        let lower = needs::base().canonicalize().expect("the base");
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            layers.join("up").display(),
            layers.join("work").display()
        );
        run(&["mount", "-t", "overlay", "overlay", "-o", &options, self.root().to_str().expect("a plain path")]);
        let seed = self.root().join("var/lib/cloud/seed/nocloud");
        let instance = format!("instance-id: i-{}-{}\nlocal-hostname: {}\n", self.name, self.generation, self.name);
        let settings = self.root().join("etc/kvstore");
        std::fs::create_dir_all(&settings).expect("a folder");
        for (file, text) in [
            (seed.join("meta-data"), instance),
            (seed.join("user-data"), self.user_data.clone()),
            (settings.join("aws.env"), Lab::environment()),
        ] {
            std::fs::write(file, text).expect("written");
        }
    }

    fn start(&mut self) {
        let groups = self.control_groups();
        let join = groups.iter().map(|group| format!("echo $$ >'{}/cgroup.procs' && ", group.display()));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{}exec systemd-nspawn \"$@\"", join.collect::<String>()), "sh"]);
        command.args(["--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe", "--link-journal=no"]);
        command.args(["--resolv-conf=off", "--timezone=off"]).arg("--directory").arg(self.root());
        command.arg(format!("--machine={}", self.name));
        command.arg(format!("--network-namespace-path=/run/netns/{}", self.full_name));
        // Under its own name too: systemd takes a mounted device that it does not know for one that is gone.
        command.arg(format!("--bind={}", self.device));
        if self.attached {
            command.arg(format!("--bind={}:/dev/sdf", self.device));
        }
        let console = std::fs::File::options().create(true).append(true).open(self.console()).expect("a log");
        let errors = console.try_clone().expect("the log");
        let child = command.stdin(Stdio::null()).stdout(console).stderr(errors).spawn().expect("systemd-nspawn starts");
        self.running = Some(child);
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Makes the machine's control groups, where there are such.
    fn control_groups(&self) -> Vec<PathBuf> {
        let all = CGROUPS.map(|hierarchy| PathBuf::from("/sys/fs/cgroup").join(hierarchy));
        let present = all.into_iter().filter(|hierarchy| hierarchy.join("cgroup.procs").is_file());
        let own: Vec<PathBuf> = present.map(|hierarchy| hierarchy.join(&self.full_name)).collect();
        for group in &own {
            std::fs::create_dir_all(group).expect("a control group");
        }
        own
    }

    /// Its first process, seen from outside.
    fn init(&self) -> Result<String, String> {
        let outer = self.running.as_ref().ok_or("its power was cut")?.id();
        let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
        let children = children.map_err(|error| error.to_string())?;
        let is_init = |pid: &&str| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|command| command.trim() == "systemd")
        };
        children.split(' ').find(is_init).map(str::to_owned).ok_or_else(|| "no first process yet".to_owned())
    }

    /// Runs a line of shell inside.
    pub(crate) fn attempt(&self, line: &str) -> Result<String, String> {
        let init = self.init()?;
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        attempt(&["nsenter", "-t", &init, "-m", "-u", "-i", "-p", "-n", "--", "env", "-i", path, "bash", "-c", line])
    }

    /// Runs a line of shell inside that must succeed.
    pub(crate) fn run(&self, line: &str) -> String {
        self.attempt(line).unwrap_or_else(|failure| panic!("{}: {failure}", self.name))
    }

    /// Waits until cloud-init ended, and how.
    pub(crate) fn await_cloud_init(&self, wanted: &str) {
        let status = wait_until(|| {
            let said = self.attempt("cloud-init status || true")?;
            let ended = said.contains("status: done") || said.contains("status: error");
            if ended { Ok(said) } else { Err(format!("{}: cloud-init {said}", self.name)) }
        });
        assert!(status.contains(&format!("status: {wanted}")), "{status}\n{}", self.cloud_init_output());
    }

    /// Waits until the user data said something.
    pub(crate) fn await_output(&self, wanted: &str) {
        wait_until(|| {
            let said = self.attempt("cat /var/log/cloud-init-output.log")?;
            if said.contains(wanted) { Ok(()) } else { Err(format!("{wanted}; it said: {said}")) }
        });
    }

    /// What the user data printed.
    pub(crate) fn cloud_init_output(&self) -> String {
        self.run("cat /var/log/cloud-init-output.log")
    }

    /// Runs the user data once more.
    pub(crate) fn run_user_data(&self) -> Result<String, String> {
        self.attempt("bash /var/lib/cloud/instance/scripts/part-001")
    }

    /// Everything that user data writes, with the time of each change, and which process serves since when.
    pub(crate) fn snapshot(&self) -> BTreeSet<String> {
        let found = self.run(&format!(
            "find {WRITTEN} -printf '%p %i %T@ %M %u:%g\\n'; \
             systemctl show --property MainPID,NRestarts,ExecMainStartTimestampMonotonic kvnode"
        ));
        found.lines().map(str::to_owned).collect()
    }

    /// Owners and modes.
    pub(crate) fn check_files(&self) {
        let found = self.run(
            "find /etc/kvstore /var/lib/kvnode /usr/local/lib/kvstore /usr/local/bin/kvnode -maxdepth 2 \
             ! -name aws.env ! -path '*/data/*' -printf '%M %u:%g %p\\n' | sed -E 's/[0-9a-f]{64}/SHA256/' | sort -k 3",
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(found, @r"
            drwxr-x--- root:kvnode /etc/kvstore
            drwxr-x--- root:kvnode /etc/kvstore/credentials
            -rw-r----- root:kvnode /etc/kvstore/credentials/ca.pem
            -rw-r----- root:kvnode /etc/kvstore/credentials/certificate.pem
            -rw------- kvnode:kvnode /etc/kvstore/credentials/gossip-keyring
            -rw------- kvnode:kvnode /etc/kvstore/credentials/key.pem
            -rw-r----- root:kvnode /etc/kvstore/credentials/tokens
            -rw-r----- root:kvnode /etc/kvstore/kvnode.toml
            lrwxrwxrwx root:root /usr/local/bin/kvnode
            drwxr-xr-x root:root /usr/local/lib/kvstore
            drwxr-xr-x root:root /usr/local/lib/kvstore/SHA256
            -rwxr-xr-x root:root /usr/local/lib/kvstore/SHA256/kvnode
            drwx------ kvnode:kvnode /var/lib/kvnode
            drwx------ kvnode:kvnode /var/lib/kvnode/data
            drwx------ kvnode:kvnode /var/lib/kvnode/lost+found
            ");
        }
    }

    /// Neither console nor logs nor the journal hold any of these.
    pub(crate) fn check_that_nothing_secret_was_shown(&self, secrets: &[String]) {
        assert!(!secrets.is_empty());
        let console = std::fs::read_to_string(self.console()).expect("the console");
        let logs = self.run("cat /var/log/cloud-init*.log; journalctl --no-pager --quiet");
        for secret in secrets {
            assert!(!console.contains(secret) && !logs.contains(secret), "a secret was shown on {}", self.name);
        }
    }

    /// systemd's own judgement of the unit: no complaint, and 2 of 10 at most.
    pub(crate) fn check_exposure(&self) {
        let complaints = self.run("systemd-analyze verify kvnode.service 2>&1 | grep kvnode || true");
        assert_eq!(complaints, "");
        self.run("systemd-analyze security --threshold=20 --no-pager kvnode.service");
    }

    /// Restarts the system, as `systemctl reboot` does.
    pub(crate) fn reboot(&mut self) {
        self.run("systemctl reboot");
        let status = self.running.take().expect("it runs").wait().expect("it ends");
        assert_eq!(status.code(), Some(REBOOT), "signal {:?}", status.signal());
        self.start();
    }

    fn cut_power(&mut self) {
        let init = self.init();
        let Some(mut child) = self.running.take() else { return };
        match init {
            Ok(init) => drop(attempt(&["kill", "-KILL", &init])),
            Err(_) => drop(child.kill()),
        }
        drop(child.wait());
    }

    /// Another machine with the same volume: the power is cut, the root disk is new.
    pub(crate) fn replace(&mut self) {
        self.cut_power();
        self.unmount();
        self.make_root();
        self.start();
    }

    /// Attaches the volume that was held back.
    pub(crate) fn attach_volume(&self) {
        self.run(&format!("ln -s {} /dev/sdf", self.device));
    }

    /// A digest of everything on the volume.
    pub(crate) fn volume_digest(&self) -> String {
        run(&["sha256sum", &self.device])
    }

    fn unmount(&self) {
        drop(attempt(&["umount", self.root().to_str().expect("a plain path")]));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.cut_power();
        self.unmount();
        drop(attempt(&["ip", "netns", "del", &self.full_name]));
        drop(attempt(&["losetup", "--detach", &self.device]));
        for hierarchy in CGROUPS {
            let group = PathBuf::from("/sys/fs/cgroup").join(hierarchy).join(&self.full_name);
            drop(attempt(&["find", &group.to_string_lossy(), "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]));
        }
    }
}

fn fill(disk: &std::path::Path, volume: Volume) {
    let file = std::fs::File::create(disk).expect("a file");
    file.set_len(VOLUME_BYTES).expect("its length");
    let path = disk.to_str().expect("a plain path");
    match volume {
        Volume::Empty | Volume::Later => {}
        Volume::Noise => {
            let noise: Vec<u8> = (0..65_536_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            std::os::unix::fs::FileExt::write_all_at(&file, &noise, 1 << 20).expect("written");
        }
        Volume::Partitioned => {
            // A master boot record with one Linux partition: type, first sector, number of sectors.
            let mut record = [0; 512];
            record[446 + 4] = 0x83;
            record[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
            record[446 + 12..446 + 16].copy_from_slice(&65_536_u32.to_le_bytes());
            record[510..].copy_from_slice(&[0x55, 0xaa]);
            std::os::unix::fs::FileExt::write_all_at(&file, &record, 0).expect("written");
        }
        Volume::Swap => drop(run(&["mkswap", path])),
    }
}
