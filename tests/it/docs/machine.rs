//! A machine on which the server was installed by the words of deploy/parlante.service: the steps of its header were
//! run, its `.env` is that of README.md, and the server has what the unit gives it and nothing else. So has whoever
//! calls a command: a shell with a PATH, as root has after `sudo --login`.
//!
//! The machine's `/etc`, `/usr/local` and `/var/lib` lie in a folder of the test's. What would change the real machine,
//! and what needs another user, has a stand-in.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use super::{between, commands, read, root};
use crate::support::{BINARY, PATIENCE, Process, World};

const UNIT: &str = include_str!("../../../deploy/parlante.service");
const README: &str = include_str!("../../../README.md");
/// What systemd gives every service.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As another user, in an environment of its own: that is what sudo does.
const SUDO: &str = r#"[ "$1 $2" = '--user parlante' ] || exit 64
shift 2
exec env --ignore-environment PATH="$PATH" "$@""#;
/// There is no user to give a file to.
const INSTALL: &str = r#"for word; do
    shift
    case $skip$word in
        --owner|--group) skip=value-of:;;
        value-of:*) skip=;;
        *) set -- "$@" "$word";;
    esac
done
exec /usr/bin/install "$@""#;

pub(super) struct Machine {
    pub(super) world: World,
    /// The first block of the runbook, that comes before every command.
    begin: String,
}

impl Machine {
    /// Runs the steps of the unit's header; nothing is started yet.
    pub(super) async fn installed(world: World) -> Self {
        let runbook = read(&root().join("docs/runbook/README.md"));
        let begin = runbook.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
        let machine = Self { begin: begin.expect("a first block").to_owned(), world };
        for folder in ["stand-ins", "etc/systemd/system", "usr/local/bin", "var/lib", "checkout/deploy"] {
            std::fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for (name, script) in [("sudo", SUDO), ("install", INSTALL), ("useradd", ""), ("systemctl", "")] {
            machine.tool(name, script);
        }
        machine.program("checkout/target/release/parlante", &format!("exec {BINARY} \"$@\""));
        std::fs::write(machine.path("checkout/deploy/parlante.service"), machine.here(UNIT)).unwrap();
        std::fs::write(machine.path("checkout/.env"), machine.dotenv()).unwrap();
        for step in steps() {
            let done = machine.shell(&machine.path("checkout"), &machine.here(step)).await;
            assert!(done.status.success(), "{step}: {done:?}");
        }
        machine
    }

    /// README.md's `.env`, with this test's stand-ins for the providers.
    fn dotenv(&self) -> String {
        let words = |word: std::ffi::OsString| word.into_string().unwrap();
        let mut values: BTreeMap<String, String> =
            self.world.environment().into_iter().map(|(name, value)| (words(name), words(value))).collect();
        // These two are for the unit and its header to say.
        values.retain(|name, _| !["LEDGER_PATH", "LOG_FORMAT"].contains(&name.as_str()));
        let mut lines = Vec::new();
        for line in commands(README).into_iter().filter(|line| is_setting(line)) {
            let (name, example) = line.split_once('=').unwrap();
            let value = if example == "…" { values.remove(name).expect(name) } else { example.to_owned() };
            lines.push(format!("{name}={value}"));
        }
        assert!(lines.len() >= 7, "{lines:?}");
        lines.extend(values.into_iter().map(|(name, value)| format!("{name}={value}")));
        lines.join("\n")
    }

    /// Starts the server as the installed unit says.
    pub(super) async fn start(mut self) -> (Self, Process) {
        let unit = read(&self.path("etc/systemd/system/parlante.service"));
        let state = self.path("var/lib").join(value(&unit, "StateDirectory"));
        std::fs::create_dir_all(state).unwrap();
        let mut program: Vec<String> = vec!["env".into(), "--ignore-environment".into()];
        program.push(format!("--chdir={}", value(&unit, "WorkingDirectory")));
        program.push(format!("PATH={PATH}"));
        program.extend(values(&unit, "Environment").flat_map(str::split_whitespace).map(str::to_owned));
        for file in values(&unit, "EnvironmentFile") {
            let settings = read(Path::new(file.trim_start_matches('-')));
            program.extend(settings.lines().filter(|line| is_setting(line)).map(str::to_owned));
        }
        let binary = value(&unit, "ExecStart").strip_suffix(" serve").expect("it serves");
        program.push(binary.to_owned());
        self.world = self.world.program(program.into_iter().map(Into::into).collect());
        let server = self.world.start().await;
        // Only now it is known. The next start, and whoever looks for the server, finds it there.
        let port = server.url("").rsplit(':').next().unwrap().to_owned();
        let settings = read(&self.dotenv_path()).replace("PORT=0\n", &format!("PORT={port}\n"));
        let settings = settings + &format!("\nSERVER_PUBLIC_URL={}\n", server.url(""));
        std::fs::write(self.dotenv_path(), settings).unwrap();
        (self, server)
    }

    fn dotenv_path(&self) -> PathBuf {
        self.path("etc/parlante/.env")
    }

    /// The ledger that the header gives the server.
    pub(super) fn ledger(&self) -> PathBuf {
        self.path("var/lib/parlante/parlante.db")
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.world.dir.path().join(below)
    }

    /// The words with this machine's paths.
    pub(super) fn here(&self, words: &str) -> String {
        ["/etc/", "/usr/local/bin", "/var/lib/"].iter().fold(words.to_owned(), |words, folder| {
            words.replace(folder, &format!("{}{folder}", self.world.dir.path().display()))
        })
    }

    pub(super) fn tool(&self, name: &str, script: &str) {
        self.program(&format!("stand-ins/{name}"), script);
    }

    fn program(&self, below: &str, script: &str) {
        let place = self.path(below);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Types a line after the runbook's first ones.
    pub(super) async fn types(&self, line: &str) -> Output {
        self.shell(Path::new("/"), &(self.here(&self.begin) + line)).await
    }

    /// What is pasted is the access token.
    async fn shell(&self, folder: &Path, script: &str) -> Output {
        let path =
            [self.path("stand-ins"), self.path("usr/local/bin"), std::env::var("PATH").unwrap().into()];
        let path = path.map(|folder| folder.display().to_string()).join(":");
        let pasted = self.path("pasted");
        std::fs::write(&pasted, format!("{}\n", self.world.sandbox.meta.options().access_token)).unwrap();
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-ec", script]).current_dir(folder).env_clear().env("PATH", path);
        shell.stdin(Stdio::from(std::fs::File::open(pasted).unwrap())).kill_on_drop(true);
        tokio::time::timeout(PATIENCE, shell.output()).await.expect("it ends").expect("a shell")
    }
}

/// The steps of the header: what stands further in than its words, without the operator's commands.
fn steps() -> Vec<&'static str> {
    let header = UNIT.split("[Unit]").next().unwrap_or_default();
    let steps: Vec<&str> = between(header, "\n#   ", "\n").collect();
    let steps: Vec<&str> = steps.into_iter().filter(|step| !step.starts_with("cd ")).collect();
    assert!(steps.len() >= 6, "{steps:?}");
    steps
}

fn is_setting(line: &str) -> bool {
    let name = line.split('=').next().unwrap_or_default();
    name.len() < line.len()
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        && line.split_whitespace().count() == 1
}

/// What a unit gives this name, line for line.
pub(super) fn values<'a>(unit: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    unit.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix('='))
}

fn value<'a>(unit: &'a str, name: &str) -> &'a str {
    values(unit, name).next().unwrap_or_else(|| panic!("the unit has no {name}"))
}
