//! What clients publish, on its way to NATS.

use async_nats::{HeaderMap, HeaderValue, PublishErrorKind};
use tokio::time::timeout;

use super::{
    barrier::CONFIRM,
    router::MESSAGE_ID,
    subscribe::NOT_CONNECTED,
    task::{Task, Waiter},
};
use crate::gateway::backbone::{PublishError, PublishRequest};

impl Task {
    /// Publishes; it is confirmed with the next barrier.
    pub(super) async fn publish(&mut self, request: PublishRequest) {
        let PublishRequest { topic, message_id, body, reply, .. } = request;
        match self.send(topic.as_str(), &message_id, body).await {
            Ok(()) => self.barriers.join(Waiter::Publish(topic, reply)),
            Err(error) => {
                // Nobody waits any more: there is nobody to tell.
                let _ = reply.send(Err(error));
            }
        }
    }

    async fn send(&self, topic: &str, message_id: &str, body: bytes::Bytes) -> Result<(), PublishError> {
        if !self.link.connected {
            return Err(PublishError::Unavailable(NOT_CONNECTED));
        }
        let id: HeaderValue = message_id.parse().map_err(|_| {
            PublishError::Refused(
                "the messageId must not hold line ends, NATS cannot pass it on: leave them out".into(),
            )
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, id);
        let bytes = body.len();
        let sent = self.client.publish_with_headers(self.router.subject(topic), headers, body);
        match timeout(CONFIRM, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(PublishError::Refused(format!(
                    "the payload has {bytes} bytes, the NATS server takes at most {} with headers (max_payload): \
                     make it smaller",
                    self.client.max_payload()
                )))
            }
            Ok(Err(error)) if error.kind() == PublishErrorKind::InvalidSubject => Err(PublishError::Refused(
                format!("NATS does not take {topic:?} as a subject: publish to another topic"),
            )),
            Ok(Err(_)) | Err(_) => Err(PublishError::Unavailable("the NATS client does not take it")),
        }
    }
}
