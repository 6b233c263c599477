//! A network that reaches nothing else, with the AWS emulator in it, and ways to run programs.
//!
//! One bridge in a network namespace of its own; machines are plugged into it. Dropping it ends the emulator and
//! takes the network away.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kvnode::runtime::clock;

use crate::needs;

/// Address of the emulator and of whoever looks at the machines.
pub(crate) const OUTSIDE: &str = "10.0.255.254";
/// The emulator's port.
const PORT: u16 = 5000;
/// Longest wait for anything: a machine boots in seconds, four of them on two busy cores in more.
const LONG: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);

/// Runs a program to its end; its standard output without trailing white space.
///
/// # Errors
/// It failed: everything it said.
pub(crate) fn attempt(words: &[&str]) -> Result<String, String> {
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{words:?}: {}\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr))),
    }
}

/// Runs a program that must succeed.
pub(crate) fn run(words: &[&str]) -> String {
    attempt(words).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Waits until a look says `Ok`; the last `Err` is in the panic.
pub(crate) fn wait_until<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = clock::monotonic_now() + LONG;
    loop {
        match look() {
            Ok(done) => return done,
            Err(awaited) => assert!(clock::monotonic_now() < deadline, "still waiting after {LONG:?}: {awaited}"),
        }
        clock::pause_thread(POLL);
    }
}

/// The network and the emulator.
pub(crate) struct Lab {
    /// Name of its network namespace, and the beginning of its machines' names.
    pub(crate) name: String,
    /// Folder of everything that lives as long as it.
    pub(crate) folder: PathBuf,
    emulator: Option<Child>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let name = format!("kvt{}", std::process::id());
        let folder = needs::target().canonicalize().expect("the target folder").join("hosts").join(&name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut lab = Self { name, folder, emulator: None };
        run(&["ip", "netns", "add", &lab.name]);
        for line in [
            "link set lo up".to_owned(),
            "link add br0 type bridge".to_owned(),
            format!("addr add {OUTSIDE}/16 dev br0"),
            "link set br0 up".to_owned(),
        ] {
            lab.ip(&line);
        }
        lab.start_emulator();
        lab
    }

    /// `ip` inside the network.
    pub(crate) fn ip(&self, line: &str) {
        let words: Vec<&str> = ["ip", "-n", &self.name].into_iter().chain(line.split(' ')).collect();
        run(&words);
    }

    fn start_emulator(&mut self) {
        let log = std::fs::File::create(self.folder.join("emulator.log")).expect("a log");
        let errors = log.try_clone().expect("the log");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(needs::python());
        command.args(["-m", "moto.server", "-H", OUTSIDE, "-p", &PORT.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("the emulator starts");
        self.emulator = Some(child);
        let url = format!("{}/moto-api/", Self::endpoint());
        wait_until(|| self.attempt_inside(&["curl", "--silent", "--fail", "--output", "/dev/null", &url]));
    }

    fn endpoint() -> String {
        format!("http://{OUTSIDE}:{PORT}")
    }

    /// What a machine needs to know of the emulator, as lines of `NAME=value`.
    pub(crate) fn environment() -> String {
        let endpoint = Self::endpoint();
        format!(
            "AWS_ENDPOINT_URL={endpoint}\nAWS_ACCESS_KEY_ID=testing\nAWS_SECRET_ACCESS_KEY=testing\n\
             AWS_EC2_METADATA_DISABLED=true\n"
        )
    }

    /// Runs a program inside the network.
    pub(crate) fn attempt_inside(&self, words: &[&str]) -> Result<String, String> {
        let words: Vec<&str> = ["ip", "netns", "exec", &self.name].into_iter().chain(words.iter().copied()).collect();
        attempt(&words)
    }

    /// Puts the objects and parameters of a folder into the emulator, in place of those that are there.
    pub(crate) fn seed(&self, folder: &Path) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine/seed.py");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(needs::python()).arg(script).arg(folder);
        let settings = Self::environment();
        command.envs(settings.lines().filter_map(|line| line.split_once('='))).env("AWS_DEFAULT_REGION", "us-east-1");
        let output = command.output().expect("python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.emulator.take() {
            drop(child.kill());
            drop(child.wait());
        }
        drop(attempt(&["ip", "netns", "del", &self.name]));
        if std::thread::panicking() {
            drop(writeln!(std::io::stderr(), "what is left of the machines: {}", self.folder.display()));
        } else {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}
