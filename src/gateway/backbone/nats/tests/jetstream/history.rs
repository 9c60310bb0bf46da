//! What was on a topic before, from the stream or from what the gateway has sent itself.

use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Stream, anew, on, proxy::Proxy, with};
use crate::gateway::{
    backbone::{
        HistoryRequest,
        nats::tests::{Rig, count},
    },
    history::{HistoryError, Lost, Page, Start},
};

type Answer = oneshot::Receiver<Result<Arc<Page>, HistoryError>>;

impl Rig {
    async fn ask(&self, topic: &str, start: Start, until: Option<u64>) -> Answer {
        let (reply, answer) = oneshot::channel();
        let request = HistoryRequest { topic: topic.parse().unwrap(), start, until, reply };
        self.handle.reads.send(request).await.unwrap();
        answer
    }

    pub(super) async fn read(
        &self,
        topic: &str,
        start: Start,
        until: Option<u64>,
    ) -> Result<Arc<Page>, HistoryError> {
        self.ask(topic, start, until).await.await.unwrap()
    }

    /// The stream is known, so that history can be read.
    pub(super) async fn ready(&mut self) {
        self.want("b", 1).await.unwrap();
    }
}

/// Numbers of the messages and of those before them.
fn chain(page: &Page) -> Vec<(u64, u64)> {
    page.messages.iter().map(|kept| (kept.seq, kept.prev)).collect()
}

fn between(from: u64, to: u64) -> Lost {
    Lost { between: Some((from, to)) }
}

#[tokio::test]
async fn what_was_read_is_to_the_byte_what_came_live() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    let headers = super::header("Topicgateway-Message-Id", "the-id");
    for body in [&b"1"[..], br#"{"messageId":"own"}"#, b"\xff\x00 not JSON"] {
        stream.client.publish_with_headers("a.x", headers.clone(), body.into()).await.unwrap();
    }
    let arrivals = rig.arrive(0, "a.x", 3).await;
    let newest = arrivals[2].seq;
    let live: Vec<_> = arrivals.into_iter().map(|arrival| arrival.frame).collect();
    for direct in [true, false] {
        // Another gateway has nothing but the stream.
        stream.update(&json!({"allow_direct": direct})).await;
        let mut other = stream.gateway().await;
        other.ready().await;
        let page = other.read("a.x", Start::After(0), None).await.unwrap();
        let read: Vec<_> = page.messages.iter().map(|kept| kept.frame.clone()).collect();
        assert_eq!(read, live, "direct: {direct}");
        assert_eq!((page.lost, page.more), (None, false));
    }
    let own = rig.read("a.x", Start::After(0), newest).await.unwrap();
    assert_eq!(own.messages.iter().map(|kept| kept.frame.clone()).collect::<Vec<_>>(), live);
    assert_eq!(count(&rig.counts.history_reads), 0, "this gateway has sent them itself");
}

#[tokio::test]
async fn what_may_be_on_its_way_here_is_looked_for_in_the_stream() {
    let stream = Stream::plain().await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    stream.store("a.x", "1").await;
    let newest = rig.arrive(0, "a.x", 1).await[0].seq.unwrap();
    for (n, until) in [None, Some(newest + 1)].into_iter().enumerate() {
        let page = rig.read("a.x", Start::After(0), until).await.unwrap();
        assert_eq!(page.messages.len(), 1);
        assert_eq!(count(&rig.counts.history_reads), n as u64 + 1, "{until:?}");
    }
}

#[tokio::test]
async fn it_begins_after_the_position_and_ends_where_it_is_told() {
    let stream = Stream::plain().await;
    stream.store_all("a.x", 1..=6).await;
    let mut rig = stream.gateway().await;
    rig.ready().await;
    let page = rig.read("a.x", Start::After(5), Some(9)).await.unwrap();
    assert_eq!((page.after, page.lost, page.more), (5, None, false));
    assert_eq!(chain(&page), [(7, 5), (9, 7)]);
    let page = rig.read("a.x", Start::After(11), None).await.unwrap();
    assert_eq!((chain(&page), page.lost), (vec![], None));
    let page = rig.read("a.none", Start::After(0), None).await.unwrap();
    assert_eq!((chain(&page), page.lost), (vec![], None));
}

#[tokio::test]
async fn a_long_history_comes_page_by_page_without_a_hole() {
    const MESSAGES: u64 = 2_500;
    let stream = Stream::plain().await;
    for n in 0..MESSAGES {
        stream.client.publish("a.x", n.to_string().into()).await.unwrap();
    }
    stream.store("b", "0").await;
    let mut rig = stream.gateway().await;
    rig.ready().await;
    let (mut position, mut pages) = (0, 0);
    loop {
        let page = rig.read("a.x", Start::After(position), Some(MESSAGES)).await.unwrap();
        for kept in &page.messages {
            assert_eq!((kept.prev, kept.seq), (position, position + 1));
            position = kept.seq;
        }
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!((position, pages), (MESSAGES, 3));
}

#[tokio::test]
async fn what_is_gone_is_said_with_its_numbers() {
    let stream = Stream::plain().await;
    let own = stream.store_all("a.x", 1..=6).await;
    stream.must("STREAM.PURGE.S", &json!({"seq": own[3]})).await;
    let mut rig = stream.gateway().await;
    rig.ready().await;
    let page = rig.read("a.x", Start::After(own[0]), None).await.unwrap();
    assert_eq!(page.lost, Some(between(own[0] + 1, own[3] - 1)));
    assert_eq!(chain(&page)[0], (own[3], own[3] - 1));
    // The message before them is gone, but it was the last one before them.
    let page = rig.read("a.x", Start::After(own[3] - 1), None).await.unwrap();
    assert_eq!((page.lost, page.messages.len()), (None, 3));
    stream.must("STREAM.PURGE.S", &json!({})).await;
    let page = rig.read("a.x", Start::After(own[4]), None).await.unwrap();
    assert_eq!((page.lost, chain(&page)), (Some(between(own[4] + 1, own[5] + 1)), vec![]));
}

#[tokio::test]
async fn a_topic_that_was_emptied_begins_where_the_stream_ended_so_that_the_loss_is_seen() {
    let stream = Stream::plain().await;
    let own = stream.store_all("a.x", 1..=6).await;
    stream.store("b", "keeps the stream's beginning").await;
    stream.must("STREAM.PURGE.S", &json!({"filter": "a.x"})).await;
    let mut rig = stream.gateway().await;
    let position = rig.want("a.x", 0).await.unwrap();
    assert_eq!(position, own[5] + 2, "the last number of the stream, which another topic has");
    let page = rig.read("a.x", Start::After(own[2]), Some(position)).await.unwrap();
    assert_eq!((page.lost, page.messages.len()), (Some(between(own[2] + 1, position)), 0));
    let next = stream.store("a.x", "7").await;
    rig.until(0, "a.x", next).await;
    // The tail has the message now, and must not pretend to have everything before it.
    let page = rig.read("a.x", Start::After(own[2]), None).await.unwrap();
    assert_eq!((page.lost, page.messages.len()), (Some(between(own[2] + 1, next - 1)), 1));
}

#[tokio::test]
async fn a_page_that_begins_between_messages_does_not_make_the_tail_forget_those_before_it() {
    let stream = Stream::plain().await;
    let first = stream.store("a.x", "1").await;
    stream.store_all("b", 1..=300).await;
    let own = stream.store_all("a.x", 2..=3).await;
    let mut rig = stream.gateway().await;
    rig.want("a.x", 0).await.unwrap();
    let page = rig.read("a.x", Start::After(own[0] - 1), None).await.unwrap();
    assert_eq!(page.messages.len(), 2);
    let page = rig.read("a.x", Start::After(0), None).await.unwrap();
    assert_eq!((page.lost, chain(&page)[0].0, page.messages.len()), (None, first, 3));
}

#[tokio::test]
async fn where_each_topic_keeps_only_so_many_a_position_that_is_gone_means_loss() {
    let stream = Stream::new(&with(&json!({"max_msgs_per_subject": 2}))).await;
    stream.store("b", "first of the stream").await;
    let own = stream.store_all("a.x", 1..=5).await;
    let mut rig = stream.gateway().await;
    rig.ready().await;
    let page = rig.read("a.x", Start::After(own[3]), None).await.unwrap();
    assert_eq!((page.lost, chain(&page)), (None, vec![(own[4], own[3])]));
    let page = rig.read("a.x", Start::After(own[0]), None).await.unwrap();
    assert_eq!(page.lost, Some(between(own[0] + 1, own[3] - 1)));
}

#[tokio::test]
async fn a_position_that_was_never_given_is_of_another_stream() {
    let stream = Stream::plain().await;
    stream.store_all("a.x", 1..=3).await;
    let mut rig = stream.gateway().await;
    rig.ready().await;
    for known in [false, true] {
        if known {
            rig.want("a.x", 0).await.unwrap();
        }
        let page = rig.read("a.x", Start::After(1_000), None).await.unwrap();
        let expected = Page { after: 5, lost: Some(Lost::default()), ..Page::default() };
        assert_eq!(*page, expected, "known: {known}");
    }
}

#[tokio::test]
async fn the_newest_ones_are_found_however_thinly_they_lie() {
    let stream = Stream::plain().await;
    let mut own = Vec::new();
    for n in 0..40 {
        for _ in 0..n * 3 {
            stream.client.publish("b", "0".into()).await.unwrap();
        }
        own.push(stream.store("a.x", n.to_string()).await);
    }
    let mut rig = stream.gateway().await;
    rig.ready().await;
    for wanted in [1, 2, 10, 39, 40, 41, 10_000] {
        let page = rig.read("a.x", Start::Newest(wanted), None).await.unwrap();
        let first = own.len().saturating_sub(wanted as usize);
        let numbers: Vec<_> = page.messages.iter().map(|kept| kept.seq).collect();
        assert_eq!((&numbers[..], page.lost, page.more), (&own[first..], None, false), "{wanted}");
        assert_eq!(page.after, first.checked_sub(1).map_or(0, |at| own[at]));
        assert!(page.messages.iter().all(|kept| kept.prev < kept.seq));
    }
    // What came after the end that was asked for does not count.
    let page = rig.read("a.x", Start::Newest(3), Some(own[20])).await.unwrap();
    let numbers: Vec<_> = page.messages.iter().map(|kept| kept.seq).collect();
    assert_eq!(numbers, own[18..=20]);
    let page = rig.read("a.none", Start::Newest(3), None).await.unwrap();
    assert_eq!((page.messages.len(), page.lost), (0, None));
}

#[tokio::test]
async fn five_thousand_who_come_back_at_once_cost_two_reads_a_topic_at_most() {
    const TOPICS: u64 = 20;
    const CLIENTS: u64 = 5_000;
    let stream = Stream::plain().await;
    let mut heads = Vec::new();
    for n in 0..100 {
        for topic in 0..TOPICS {
            let seq = stream.store(&format!("a.{topic}"), n.to_string()).await;
            if n == 99 {
                heads.push(seq);
            }
        }
    }
    let mut rig = stream.gateway().await;
    for topic in 0..TOPICS {
        rig.want(&format!("a.{topic}"), 0).await.unwrap();
    }
    let mut reads = stream.client.subscribe("$JS.API.DIRECT.GET.S").await.unwrap();
    stream.client.flush().await.unwrap();
    let mut answers = Vec::new();
    for n in 0..CLIENTS {
        let topic = n % TOPICS;
        let head = heads[topic as usize];
        // Each has missed between 50 and 62 messages.
        let position = head - TOPICS * (50 + (n / TOPICS) % 13);
        answers.push((
            rig.ask(&format!("a.{topic}"), Start::After(position), Some(head)).await,
            position,
            head,
        ));
    }
    for (answer, position, head) in answers {
        let page = answer.await.unwrap().unwrap();
        let last = page.messages.iter().fold(position, |last, kept| {
            assert_eq!(kept.prev, last);
            kept.seq
        });
        assert_eq!((last, page.lost, page.more), (head, None, false));
    }
    stream.client.publish("$JS.API.DIRECT.GET.S", "end".into()).await.unwrap();
    let mut questions = 0;
    while reads.next().await.unwrap().payload != "end" {
        questions += 1;
    }
    assert!(questions <= 2 * TOPICS, "{questions} reads for {TOPICS} topics");
}

#[tokio::test]
async fn a_read_that_cannot_be_answered_says_why() {
    let stream = Stream::plain().await;
    let proxy = Proxy::to(&stream.server.url()).await;
    let mut rig = Rig::connected(&on(&proxy.url())).await;
    rig.ready().await;
    let none = rig.read("c.x", Start::After(0), None).await.unwrap_err();
    assert!(matches!(&none, HistoryError::None(why) if why.contains("does not keep c.x")), "{none}");
    proxy.cut();
    rig.wait(false).await;
    let gone = rig.read("a.x", Start::After(0), None).await.unwrap_err();
    assert!(matches!(&gone, HistoryError::Unavailable(why) if why.contains("not connected")), "{gone}");
    proxy.mend();
    rig.wait(true).await;
    stream.must("STREAM.DELETE.S", &json!({})).await;
    let gone = rig.read("a.x", Start::After(0), None).await.unwrap_err();
    assert!(matches!(gone, HistoryError::Unavailable(_)), "{gone}");
    rig.trouble(Some("does not exist")).await;
    stream.create(&anew()).await;
    stream.store("a.x", "1").await;
    rig.trouble(None).await;
    let page = rig.read("a.x", Start::After(0), None).await.unwrap();
    assert_eq!(chain(&page), [(1, 0)]);
}
