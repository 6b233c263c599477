//! A cloud in memory, as strict as the real one where it matters, with seeded faults.
//!
//! [`World`] is the cloud itself: synchronous, with the time its caller gives it. [`FakeCloud`] puts it behind the
//! border ([`Cloud`]) and [`FakeClock`] lets time pass as fast as somebody waits for it. Fidelity ends at what the
//! engine can notice: one operation of the border is one call, and nothing is ever sent anywhere.

mod chance;
mod guards;
mod nature;
mod thing;
mod times;
mod view;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use chance::{Chance, Faults};
pub use thing::Thing;
pub use world::World;

use super::{Cloud, Failure, Holder, Ids};
use crate::apply::Clock;
use crate::observed::{Condition, Observed};
use crate::plan::Difference;
use crate::resource::{Kind, Resource};

/// A [`World`] behind the border.
#[derive(Debug, Clone)]
pub struct FakeCloud {
    world: Arc<Mutex<World>>,
}

impl FakeCloud {
    /// A cloud that is this world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// The world, to look at or to change behind the engine's back. Do not hold it across an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A clock of this world: whoever sleeps makes time pass, and nobody waits.
    #[must_use]
    pub fn clock(&self) -> FakeClock {
        FakeClock { world: Arc::clone(&self.world) }
    }
}

impl Cloud for FakeCloud {
    async fn observe(&self, cluster: &str, wanted: &[Resource]) -> Result<Observed, Failure> {
        self.world().observe(cluster, wanted)
    }

    async fn create(&self, resource: &Resource, ids: &Ids, token: &str) -> Result<String, Failure> {
        self.world().create(resource, ids, token)
    }

    async fn find(&self, resource: &Resource, ids: &Ids) -> Result<Vec<String>, Failure> {
        self.world().find(resource, ids)
    }

    async fn configure(
        &self,
        id: &str,
        resource: &Resource,
        _changes: Option<&[Difference]>,
        ids: &Ids,
    ) -> Result<(), Failure> {
        self.world().configure(id, resource, ids)
    }

    async fn condition(&self, kind: Kind, id: &str) -> Result<Condition, Failure> {
        self.world().condition(kind, id)
    }

    async fn delete(&self, kind: Kind, id: &str) -> Result<(), Failure> {
        self.world().delete(kind, id)
    }

    async fn holders(&self, kind: Kind, id: &str) -> Result<Vec<Holder>, Failure> {
        self.world().holders(kind, id)
    }
}

/// Time of a [`FakeCloud`].
#[derive(Debug, Clone)]
pub struct FakeClock {
    world: Arc<Mutex<World>>,
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        self.world.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    async fn sleep(&self, duration: Duration) {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let until = world.now() + duration;
        world.pass_until(until);
    }
}

#[cfg(test)]
mod tests;
