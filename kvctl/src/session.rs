//! What a command works with: settings, the two streams, the chosen context and a client of its cluster.
//!
//! Made once per run. It reads files only when a command asks for a context or a client.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use infra::topology::ClusterName;
use kvnode::client::{self, Client};
use kvnode::runtime::clock;

use crate::cli::Output;
use crate::context::{Context, Contexts};
use crate::error::CommandError;
use crate::exit_code::Exit;
use crate::provider::local::state::{Folder, read_bounded};
use crate::settings::Settings;
use crate::ui::Ui;

/// Largest certificate or token read.
const MAX_SECRET: u64 = 256 * 1024;
/// How soon a Ctrl-C is noticed by a command that ends in an orderly way: at once, for a person.
const NOTICE: Duration = Duration::from_millis(50);
/// Name of the cluster if nobody says otherwise.
const DEFAULT_CLUSTER: &str = "local";

/// What a command works with.
#[derive(Debug, Clone)]
pub struct Session {
    /// Settings of this run.
    pub settings: Settings,
    /// The two streams.
    pub ui: Ui,
    /// What Ctrl-C does.
    pub interruption: Interruption,
}

/// What Ctrl-C does: it ends the command at once, unless the command said that it can end in an orderly way; then the
/// first one asks for that and the second ends it at once.
#[derive(Debug, Clone, Default)]
pub struct Interruption {
    orderly: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Interruption {
    /// From now on the first Ctrl-C only asks.
    pub fn end_orderly(&self) {
        self.orderly.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked to end.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ends when somebody asked to end.
    pub async fn wait(&self) {
        while !self.asked() {
            clock::sleep(NOTICE).await;
        }
    }

    /// Takes a Ctrl-C; true if the command ends by itself.
    pub(crate) fn accept(&self) -> bool {
        self.orderly.load(Ordering::SeqCst) && !self.asked.swap(true, Ordering::SeqCst)
    }
}

impl Session {
    /// A session for one run.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { ui: Ui::new(&settings), settings, interruption: Interruption::default() }
    }

    /// Whether the answer is for a program.
    #[must_use]
    pub fn machine(&self) -> bool {
        self.settings.output != Output::Table
    }

    /// The chosen context with its name.
    ///
    /// # Errors
    /// None is chosen, or there is none of that name.
    pub fn context(&self) -> Result<(String, Context), CommandError> {
        let contexts = Contexts::load(&self.settings.state_dir)?;
        let (name, context) = contexts.find(self.settings.context.as_deref())?;
        Ok((name.to_owned(), context.clone()))
    }

    /// A client of the chosen cluster.
    ///
    /// # Errors
    /// No context, or its files cannot be used.
    pub fn client(&self, timeout: Duration) -> Result<Client, CommandError> {
        self.client_of(&self.context()?.1, timeout)
    }

    /// A client of a context's cluster.
    ///
    /// # Errors
    /// Its files cannot be used.
    pub fn client_of(&self, context: &Context, timeout: Duration) -> Result<Client, CommandError> {
        let (ca_pem, token) = read_secrets(context)?;
        let mut config = client::Config::new(context.endpoints.clone(), ca_pem, Some(token));
        config.timeout = timeout;
        Client::new(&config).map_err(|error| CommandError::unusable(&context.ca_file, &error))
    }

    /// The cluster a command on clusters means: as named, else that of the context, else the default.
    ///
    /// # Errors
    /// The name is none.
    pub fn cluster_name(&self, named: Option<&str>) -> Result<ClusterName, CommandError> {
        let contexts = Contexts::load(&self.settings.state_dir)?;
        let chosen = self.settings.context.clone().or_else(|| contexts.current.clone());
        let of_context =
            chosen.map(|name| contexts.contexts.get(&name).map_or(name, |context| context.cluster.clone()));
        let name = named.map(str::to_owned).or(of_context).unwrap_or_else(|| DEFAULT_CLUSTER.to_owned());
        name.parse().map_err(|error| CommandError::usage(format!("{name:?} is no cluster")).because(&error))
    }

    /// The folder of a local cluster.
    #[must_use]
    pub fn folder(&self, cluster: &ClusterName) -> Folder {
        Folder::new(&self.settings.state_dir, cluster)
    }
}

/// The authority's PEM and the token of a context.
///
/// # Errors
/// A file is missing or cannot be read: exit 15.
pub fn read_secrets(context: &Context) -> Result<(Vec<u8>, String), CommandError> {
    let missing = |path: &Path| {
        CommandError::new(Exit::Credentials, format!("{} is missing", path.display()))
            .hint("kvctl cluster up makes it; see kvctl context show")
    };
    let ca_pem = read_bounded(&context.ca_file, MAX_SECRET)?.ok_or_else(|| missing(&context.ca_file))?;
    let token = read_bounded(&context.token_file, MAX_SECRET)?.ok_or_else(|| missing(&context.token_file))?;
    Ok((ca_pem, String::from_utf8_lossy(&token).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Global;
    use crate::settings::Environment;

    #[test]
    fn the_first_ctrl_c_only_asks_a_command_that_can_end_orderly() {
        let interruption = Interruption::default();
        assert!(!interruption.accept());
        interruption.end_orderly();
        assert!(interruption.accept());
        assert!(interruption.asked());
        assert!(!interruption.accept(), "the second one ends it");
    }

    #[test]
    fn the_cluster_is_the_named_the_contexts_or_the_default() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = |context: Option<&str>| {
            let global = Global {
                state_dir: Some(folder.path().join("state")),
                context: context.map(str::to_owned),
                ..Global::default()
            };
            Session::new(Settings::resolve(&global, &Environment::default()).expect("resolved"))
        };
        let name = |context, named| session(context).cluster_name(named).map(|name| name.to_string()).ok();
        assert_eq!(name(None, None).as_deref(), Some("local"));
        assert_eq!(name(Some("dev"), None).as_deref(), Some("dev"));
        assert_eq!(name(Some("dev"), Some("prod")).as_deref(), Some("prod"));
        assert_eq!(name(None, Some("No")), None);
    }
}
