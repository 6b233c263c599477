//! The AWS clusters that this machine knows, from its contexts and folders.
//!
//! It asks nobody: what really exists is told by `status`, which may cost a login.

use crate::context::Contexts;
use crate::error::CommandError;
use crate::session::Session;

/// One cluster, as `cluster list` shows it.
pub(in crate::commands::cluster) struct Known {
    pub(in crate::commands::cluster) name: String,
    pub(in crate::commands::cluster) place: String,
    pub(in crate::commands::cluster) folder: String,
}

/// All of them, by name.
pub(in crate::commands::cluster) fn clusters(session: &Session) -> Result<Vec<Known>, CommandError> {
    let contexts = Contexts::load(&session.settings.state_dir)?;
    let known = contexts.contexts.values().filter_map(|context| {
        let place = context.aws.as_ref()?;
        let name = context.cluster.parse().ok()?;
        Some(Known {
            name: context.cluster.clone(),
            place: format!("aws {} {}", place.region, place.account),
            folder: super::target::folder(session, &name).root().display().to_string(),
        })
    });
    Ok(known.collect())
}
