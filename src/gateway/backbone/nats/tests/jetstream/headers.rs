//! What nats-server itself says: everything that the gateway relies on, and that no document promises.

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{Stream, config, with};

/// What an answer says of one message (or the end): its status, number, the one before, and how many follow.
#[derive(Debug, Default, PartialEq, Eq)]
struct Says {
    status: Option<u16>,
    sequence: Option<u64>,
    last: Option<u64>,
    pending: Option<u64>,
    up_to: Option<u64>,
}

fn says(message: &async_nats::Message) -> Says {
    let number = |name: &str| message.headers.as_ref()?.get(name)?.as_str().parse().ok();
    Says {
        status: message.status.map(|status| status.as_u16()),
        sequence: number("Nats-Sequence"),
        last: number("Nats-Last-Sequence"),
        pending: number("Nats-Num-Pending"),
        up_to: number("Nats-UpTo-Sequence"),
    }
}

impl Stream {
    /// Everything that Direct Get answers.
    async fn direct(&self, question: &Value) -> Vec<Says> {
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.unwrap();
        let subject = "$JS.API.DIRECT.GET.S";
        self.client.publish_with_reply(subject, inbox, question.to_string().into()).await.unwrap();
        let mut all = Vec::new();
        loop {
            let said = says(&answers.next().await.unwrap());
            let end = said.status.is_some();
            all.push(said);
            if end {
                return all;
            }
        }
    }

    /// What a message published again says: its number and the one before.
    async fn published_again(&self, subject: &str) -> (u64, u64) {
        let mut again = self.client.subscribe(format!("_tg.S.{subject}")).await.unwrap();
        let seq = self.store(subject, "x").await;
        let said = says(&again.next().await.unwrap());
        assert_eq!(said.sequence, Some(seq));
        (seq, said.last.unwrap())
    }
}

fn found(sequence: u64, last: u64, pending: u64) -> Says {
    Says { sequence: Some(sequence), last: Some(last), pending: Some(pending), ..Says::default() }
}

fn end(last: u64, pending: u64, up_to: Option<u64>) -> Says {
    Says { status: Some(204), sequence: None, last: Some(last), pending: Some(pending), up_to }
}

fn nothing() -> Vec<Says> {
    vec![Says { status: Some(404), ..Says::default() }]
}

#[tokio::test]
async fn the_number_before_is_that_of_the_newest_message_of_the_subject_that_is_still_there() {
    let stream = Stream::plain().await;
    assert_eq!(stream.published_again("a.x").await, (1, 0));
    assert_eq!(stream.published_again("a.y").await, (2, 0));
    assert_eq!(stream.published_again("a.x").await, (3, 1));
    stream.must("STREAM.MSG.DELETE.S", &json!({"seq": 3})).await;
    assert_eq!(stream.published_again("a.x").await, (4, 1), "the last one was deleted");
    stream.must("STREAM.PURGE.S", &json!({"filter": "a.x"})).await;
    assert_eq!(stream.published_again("a.x").await, (5, 0), "the subject was purged");
    stream.must("STREAM.PURGE.S", &json!({})).await;
    assert_eq!(stream.published_again("a.x").await, (6, 0), "everything was, and numbers go on");
}

#[tokio::test]
async fn a_message_evicted_by_the_next_one_of_its_subject_is_still_named_as_the_one_before() {
    let stream = Stream::new(&with(&json!({"max_msgs_per_subject": 1}))).await;
    assert_eq!(stream.published_again("a.x").await, (1, 0));
    assert_eq!(stream.published_again("a.x").await, (2, 1));
    assert_eq!(stream.published_again("a.x").await, (3, 2));
}

#[tokio::test]
async fn a_batch_names_the_one_before_in_the_answer_and_how_many_follow() {
    let stream = Stream::plain().await;
    for subject in ["a.x", "a.y", "a.x", "a.x"] {
        stream.store(subject, "x").await;
    }
    let next = |seq: u64, batch: u64| json!({"seq": seq, "next_by_subj": "a.x", "batch": batch});
    assert_eq!(
        stream.direct(&next(1, 9)).await,
        [found(1, 0, 2), found(3, 1, 1), found(4, 3, 0), end(4, 0, None)]
    );
    assert_eq!(
        stream.direct(&next(2, 1)).await,
        [found(3, 0, 1), end(3, 1, None)],
        "not 1: not in the answer"
    );
    stream.must("STREAM.MSG.DELETE.S", &json!({"seq": 3})).await;
    assert_eq!(stream.direct(&next(1, 9)).await, [found(1, 0, 1), found(4, 1, 0), end(4, 0, None)]);
    assert_eq!(stream.direct(&next(5, 9)).await, nothing());
    assert_eq!(stream.direct(&next(500, 9)).await, nothing());
    let few = json!({"seq": 1, "next_by_subj": "a.x", "batch": 9, "max_bytes": 1});
    assert_eq!(stream.direct(&few).await, [found(1, 0, 1), end(1, 1, None)], "at least one comes");
}

#[tokio::test]
async fn the_newest_of_several_subjects_come_by_number_with_that_of_the_stream() {
    let stream = Stream::plain().await;
    for subject in ["a.x", "a.y", "a.x", "b"] {
        stream.store(subject, "x").await;
    }
    let newest = |from: u64| json!({"multi_last": ["a.*", "a.none"], "seq": from, "batch": 9});
    assert_eq!(stream.direct(&newest(0)).await, [found(2, 0, 1), found(3, 2, 0), end(3, 0, Some(4))]);
    assert_eq!(stream.direct(&newest(3)).await, [found(3, 0, 0), end(3, 0, Some(4))], "only newer ones");
    assert_eq!(stream.direct(&newest(4)).await, [end(0, 0, Some(4))]);
    stream.must("STREAM.PURGE.S", &json!({})).await;
    assert_eq!(stream.direct(&newest(0)).await, nothing(), "without the number of the stream");
}

#[tokio::test]
async fn nobody_answers_where_direct_get_is_not_allowed_or_there_is_no_stream() {
    let stream = Stream::new(&with(&json!({"allow_direct": false}))).await;
    stream.store("b", "x").await;
    let nobody = [Says { status: Some(503), ..Says::default() }];
    let question = json!({"seq": 1, "next_by_subj": "b"});
    assert_eq!(stream.direct(&question).await, nobody);
    let got = stream.must("STREAM.MSG.GET.S", &question).await;
    assert_eq!(got["message"]["seq"], 1);
    let none = stream.api("STREAM.MSG.GET.S", &json!({"seq": 2, "next_by_subj": "b"})).await;
    assert_eq!(none["error"]["err_code"], 10037);
    stream.must("STREAM.DELETE.S", &json!({})).await;
    assert_eq!(stream.direct(&question).await, nobody);
    assert_eq!(stream.api("STREAM.INFO.S", &json!({})).await["error"]["err_code"], 10059);
}

#[tokio::test]
async fn the_server_refuses_a_stream_that_would_capture_what_it_publishes_again() {
    let stream = Stream::none().await;
    for changes in [
        json!({"subjects": ["a.>", "_tg.S.x"]}),
        json!({"republish": {"src": "a.>", "dest": "a.again.>"}}),
        json!({"subjects": [">"]}),
    ] {
        let answer = stream.api("STREAM.CREATE.S", &with(&changes)).await;
        assert_eq!(answer["error"]["code"], 500, "{changes}: {answer}");
    }
    stream.create(&config()).await;
}
