//! What clients publish, on its way to NATS.

use std::time::{Instant, SystemTime};

use async_nats::{HeaderMap, HeaderValue, PublishErrorKind, header::NATS_TIME_STAMP};
use tokio::time::timeout;

use super::{
    barrier::CONFIRM,
    jetstream::Place,
    router::{MESSAGE_ID, UNIQUE_ID},
    subscribe::{NOT_CONNECTED, RESERVED},
    task::{Task, Waiter},
};
use crate::{
    api::{Filter, Stamp, Topic},
    gateway::backbone::{PublishError, PublishRequest},
};

impl Task {
    /// Publishes; it is confirmed with the next barrier.
    pub(super) async fn publish(&mut self, request: PublishRequest) {
        if let Some(jet) = self.jet.as_mut().filter(|jet| self.link.connected && jet.is_new()) {
            return jet.keep_publish(request);
        }
        let request = match self.place_of(&request.topic) {
            Ok(Place::Inside) => return self.store(request).await,
            Ok(_) => request,
            Err(error) => {
                let _ = request.reply.send(Err(error));
                return;
            }
        };
        let PublishRequest { topic, message_id, body, reply, .. } = request;
        let headers = headers(&message_id, None).map(|headers| stamped(headers, SystemTime::now()));
        match self.send(topic.as_str(), headers, None, body).await {
            Ok(()) => self.barriers.join(Waiter::Publish(topic, reply)),
            Err(error) => {
                // Nobody waits any more: there is nobody to tell.
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Publishes to the stream; it confirms by itself.
    async fn store(&mut self, request: PublishRequest) {
        let PublishRequest { topic, message_id, unique_id, body, reply } = request;
        let Some(jet) = &mut self.jet else { return };
        let id = jet.acks.wait(topic.clone(), reply, Instant::now());
        let headers = headers(&message_id, Some(&unique_id));
        let answer = format!("{}.p.{id}", self.inbox);
        if let Err(error) = self.send(topic.as_str(), headers, Some(answer), body).await
            && let Some(jet) = &mut self.jet
        {
            jet.acks.fail(id, error);
        }
    }

    /// Whether the stream takes a topic in, or why nobody can say so.
    fn place_of(&self, topic: &Topic) -> Result<Place, PublishError> {
        let Some(jet) = &self.jet else { return Ok(Place::Outside) };
        if !self.link.connected {
            return Err(PublishError::Unavailable(NOT_CONNECTED.into()));
        }
        if let Some(why) = jet.absent() {
            return Err(PublishError::Unavailable(why.to_owned().into()));
        }
        let Some(layout) = jet.layout() else {
            return Err(PublishError::Unavailable("the stream was not seen yet".into()));
        };
        match layout.place(&Filter::Topic(topic.clone())) {
            Place::Reserved => Err(PublishError::Refused(RESERVED.into())),
            place => Ok(place),
        }
    }

    async fn send(
        &self,
        topic: &str,
        headers: Result<HeaderMap, PublishError>,
        answer: Option<String>,
        body: bytes::Bytes,
    ) -> Result<(), PublishError> {
        if !self.link.connected {
            return Err(PublishError::Unavailable(NOT_CONNECTED.into()));
        }
        let (bytes, headers, subject) = (body.len(), headers?, self.router.subject(topic));
        let sent = async {
            match answer {
                Some(answer) => {
                    self.client.publish_with_reply_and_headers(subject, answer, headers, body).await
                }
                None => self.client.publish_with_headers(subject, headers, body).await,
            }
        };
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
            Ok(Err(_)) | Err(_) => Err(PublishError::Unavailable("the NATS client does not take it".into())),
        }
    }
}

/// With the time of the publish, which a stream would write down by itself.
fn stamped(mut headers: HeaderMap, now: SystemTime) -> HeaderMap {
    if let Some(now) = Stamp::at(now) {
        headers.insert(NATS_TIME_STAMP, now.to_string());
    }
    headers
}

/// The publisher's id of the message, and what the stream is to know it by.
fn headers(message_id: &str, unique_id: Option<&str>) -> Result<HeaderMap, PublishError> {
    let mut headers = HeaderMap::new();
    for (name, text) in [(MESSAGE_ID, Some(message_id)), (UNIQUE_ID, unique_id)] {
        let Some(text) = text else { continue };
        let value: HeaderValue = text.parse().map_err(|_| {
            PublishError::Refused(
                "the messageId must not hold line ends, NATS cannot pass it on: leave them out".into(),
            )
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}
