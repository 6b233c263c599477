//! One call: its error becomes a [`Failure`].
//!
//! Reads are repeated while the service is busy; nothing else ever is. Which error is of which class is said by `failure`.

use std::future::Future;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::clients::Clients;
use super::failure::{Effect, failure};
use super::pace::pause;
use crate::provider::{Class, Failure};

/// Tries of a read: with the waits below, some 25 seconds of a busy service.
const READ_TRIES: u32 = 7;
/// First wait; doubles each time.
const READ_WAIT: Duration = Duration::from_millis(200);

impl Clients {
    /// Runs one call, once.
    ///
    /// # Errors
    /// What went wrong, with its class.
    pub(super) async fn call<O, E>(
        &self,
        action: &str,
        effect: Effect,
        call: impl Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    ) -> Result<O, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        call.await.map_err(|error| {
            let failure = failure(action, effect, &error);
            if failure.class == Class::Throttled {
                self.complain();
            }
            failure
        })
    }

    /// Runs a read, again and again while the service is busy or fails in itself, up to 7 times in some 25 seconds.
    ///
    /// # Errors
    /// What went wrong at last, with its class.
    pub(super) async fn read<O, E, F>(&self, action: &str, call: impl Fn() -> F) -> Result<O, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        let mut wait = READ_WAIT;
        let mut tries = 1;
        loop {
            match self.call(action, Effect::Read, call()).await {
                Err(failure) if tries < READ_TRIES && matches!(failure.class, Class::Throttled | Class::Transient) => {
                    // Spread by the call's own count, so that many readers do not come back together.
                    let spread = u32::try_from(self.log().count() % 8).unwrap_or(0);
                    pause(wait + wait / 8 * spread).await;
                    wait *= 2;
                    tries += 1;
                }
                other => return other,
            }
        }
    }
}
