//! The places of connections that are HTTP, and how an answer without end leaves its own to others.

use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Time a connection has in any case when all places are taken.
const TIME: Duration = Duration::from_secs(2);

/// The places of connections that are still HTTP. When all are taken, the oldest connection loses its place once it
/// has had its time: clients that connect and say nothing delay the others by no more than that.
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// From the oldest to the newest, the ended ones among them: those are thrown out whenever there are twice as many as
    /// were left the last time. At most twice as many as places. None of them holds its task: what lasts as long as its
    /// connection would come to lie between the memory of tasks that have ended, and keep it in pieces.
    taken: VecDeque<Taken>,
    full: usize,
}

struct Taken {
    since: Instant,
    place: Weak<Inner>,
}

/// One connection's place; free again when the connection ends, or when its answer turns out to be a stream.
#[derive(Clone)]
pub(super) struct Place(Arc<Inner>);

struct Inner {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    left: Notify,
    evicted: Notify,
    began: Instant,
    /// When a piece of the stream was handed over that the connection has not asked to be followed yet, in
    /// milliseconds since the beginning and one; 0: it waits for the next one.
    handed_over: AtomicU64,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), taken: VecDeque::new(), full: 0 }
    }

    /// Waits for a place.
    pub(super) async fn take(&mut self) -> io::Result<Place> {
        let permit = Mutex::new(Some(self.permit().await?));
        let (left, evicted) = (Notify::new(), Notify::new());
        let (began, handed_over) = (Instant::now(), AtomicU64::new(0));
        Ok(Place(Arc::new(Inner { permit, left, evicted, began, handed_over })))
    }

    async fn permit(&mut self) -> io::Result<OwnedSemaphorePermit> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Ok(permit);
        }
        self.taken.retain(Taken::holds);
        let mut next = pin!(self.free.clone().acquire_owned());
        while let Some(oldest) = self.taken.front() {
            let time = TIME.saturating_sub(oldest.since.elapsed());
            if let Ok(permit) = timeout(time, next.as_mut()).await {
                return permit.map_err(io::Error::other);
            }
            if let Some(permit) = self.taken.pop_front().and_then(Taken::evict) {
                return Ok(permit);
            }
        }
        next.await.map_err(io::Error::other)
    }

    /// Notes that somebody has this place, whose connection ends when it is [`Place::evicted`].
    pub(super) fn taken(&mut self, place: WeakPlace) {
        if self.taken.len() >= self.full {
            self.taken.retain(Taken::holds);
            self.full = 2 * self.taken.len();
        }
        self.taken.push_back(Taken { since: Instant::now(), place: place.0 });
    }
}

/// Names a place without holding it.
pub(super) struct WeakPlace(Weak<Inner>);

impl Taken {
    fn holds(&self) -> bool {
        self.place.upgrade().is_some_and(|inner| inner.permit().is_some())
    }

    /// Ends the connection, if it still has its place: whoever takes the permit out has it.
    fn evict(self) -> Option<OwnedSemaphorePermit> {
        let inner = self.place.upgrade()?;
        let permit = inner.permit().take()?;
        inner.evicted.notify_one();
        Some(permit)
    }
}

impl Inner {
    fn permit(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Place {
    pub(super) fn downgrade(&self) -> WeakPlace {
        WeakPlace(Arc::downgrade(&self.0))
    }

    /// Gives the place to others, because the answer is a stream; `false` if others have it already, and the
    /// connection is being ended.
    pub(super) fn leave(&self) -> bool {
        let had = self.0.permit().take().is_some();
        if had {
            self.0.left.notify_one();
        }
        had
    }

    /// Waits until the place is left. For one task.
    pub(super) async fn left(&self) {
        self.0.left.notified().await;
    }

    /// Waits until others have the place. For one task.
    pub(super) async fn evicted(&self) {
        self.0.evicted.notified().await;
    }

    /// A piece of the stream, or its end, was handed over to be written.
    pub(super) fn handed_over(&self) {
        self.0.handed_over.store(self.0.ms(), Relaxed);
    }

    /// Everything handed over was taken; there is nothing to be written now.
    pub(super) fn waits(&self) {
        self.0.handed_over.store(0, Relaxed);
    }

    /// For how long the client has taken nothing of what is to be written.
    pub(super) fn stalled(&self) -> Duration {
        match self.0.handed_over.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.0.ms().saturating_sub(since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stream_leaves_its_place_and_is_not_ended_for_it() {
        let mut places = Places::new(1);
        let stream = places.take().await.unwrap();
        places.taken(stream.downgrade());
        assert!(stream.leave());
        timeout(Duration::from_secs(1), stream.left()).await.unwrap();
        let next = timeout(Duration::from_secs(1), places.take()).await.unwrap().unwrap();
        places.taken(next.downgrade());
        // The next one has to wait for the second connection; the first is not touched.
        timeout(Duration::from_secs(10), places.take()).await.unwrap().unwrap();
        timeout(Duration::from_secs(1), next.evicted()).await.unwrap();
        assert!(timeout(Duration::from_secs(1), stream.evicted()).await.is_err());
        assert!(!next.leave(), "it has lost its place");
    }

    #[tokio::test(start_paused = true)]
    async fn the_place_of_a_connection_that_ended_is_free() {
        let mut places = Places::new(1);
        let place = places.take().await.unwrap();
        places.taken(place.downgrade());
        drop(place);
        timeout(Duration::from_millis(1), places.take()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn connections_that_have_ended_are_soon_forgotten() {
        let mut places = Places::new(512);
        let stays = places.take().await.unwrap();
        places.taken(stays.downgrade());
        for _ in 0..1_000 {
            let place = places.take().await.unwrap();
            places.taken(place.downgrade());
            assert!(places.taken.len() <= 2);
        }
        assert!(places.taken.front().unwrap().holds());
    }

    #[tokio::test]
    async fn a_client_stalls_from_the_piece_on_that_it_does_not_take() {
        let place = Places::new(1).take().await.unwrap();
        assert_eq!(place.stalled(), Duration::ZERO);
        place.handed_over();
        std::thread::sleep(Duration::from_millis(3));
        assert!(place.stalled() >= Duration::from_millis(2));
        place.waits();
        assert_eq!(place.stalled(), Duration::ZERO);
    }
}
