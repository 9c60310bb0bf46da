//! The task that answers what shards ask: checks tokens and publishes messages.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use futures_util::{
    FutureExt as _,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::gateway::{
    access::Access,
    backbone::HistoryRequest,
    history::{HistoryError, Page},
    publisher::Publisher,
    shard::{Inbox, Request, ShardEvent},
};

/// How long a read of history may take, the wait for others included.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Answers requests until the last shard is gone (then what is under way is answered first) or `cancel` fires (then
/// it is given up).
///
/// Tokens are checked in place: that takes microseconds. Publishes are handed to the backbone in the order they come
/// and wait for their confirmation side by side, as many as the publisher lets wait.
pub async fn run(
    mut requests: mpsc::Receiver<Request>,
    access: Arc<ArcSwap<Access>>,
    publisher: Publisher,
    reads: mpsc::Sender<HistoryRequest>,
    inboxes: Arc<[Arc<Inbox>]>,
    cancel: CancellationToken,
) {
    let tell = |shard: usize, event| {
        if let Some(inbox) = inboxes.get(shard) {
            inbox.push(event);
        }
    };
    let mut under_way = FuturesUnordered::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            // Before new requests, so that what is done makes room first.
            Some((shard, event)) = under_way.next() => tell(shard, event),
            request = requests.recv(), if open => match request {
                None => open = false,
                Some(Request::Authenticate { shard, connection, token }) => {
                    let result = access.load().authenticate(&token, now()).map_err(|error| error.to_string());
                    tell(shard, ShardEvent::Authenticated { connection, result });
                }
                Some(Request::Publish { shard, connection, id, user, topic, message_id, payload }) => {
                    let outcome = publisher.publish(&user, topic.clone(), message_id.clone(), payload);
                    let answered = async move {
                        let answer = outcome.await;
                        (shard, ShardEvent::Published { connection, id, topic, message_id, answer })
                    };
                    under_way.push(answered.boxed());
                }
                Some(Request::History { shard, connection, ticket, topic, start, until }) => {
                    let (reply, page) = oneshot::channel();
                    let asked = reads.try_send(HistoryRequest { topic, start, until, reply });
                    let answered = async move {
                        let result = match asked {
                            Ok(()) => page_of(page).await,
                            Err(_) => Err(HistoryError::Unavailable(BUSY.into())),
                        };
                        (shard, ShardEvent::History { connection, ticket, result })
                    };
                    under_way.push(answered.boxed());
                }
            },
        }
    }
}

const BUSY: &str = "too many others read history now: ask again in a moment";

async fn page_of(
    page: oneshot::Receiver<Result<Arc<Page>, HistoryError>>,
) -> Result<Arc<Page>, HistoryError> {
    match timeout(READ_WITHIN, page).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(HistoryError::Unavailable("the read was given up: ask again in a moment".into())),
        Err(_) => Err(HistoryError::Unavailable(
            "the backbone did not answer within 10 s: ask again in a moment".into(),
        )),
    }
}

/// Seconds since 1970 by the wall clock, which tokens are written in. A clock before 1970 reads as 0.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
