//! What is counted.

use std::{env, hint::black_box, process::Command};

use topic_gateway::{
    api::{JwtAlgorithm, Secrets, TopicGatewaySpec},
    gateway::access::{Access, sign},
};

use crate::shard::Shard;

/// One kind of work.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// Items of the shorter run.
    items: u64,
    run: fn(u64),
}

impl Work {
    pub(crate) const ALL: [Self; 5] = [
        Self { name: "delivery-to-1000", items: 100_000, run: singles },
        Self { name: "delivery-in-bursts", items: 320_000, run: bursts },
        Self { name: "delivery-to-1", items: 10_000, run: spread },
        Self { name: "connect-and-subscribe", items: 2_000, run: connects },
        Self { name: "token-hs256", items: 2_000, run: tokens },
    ];

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        const ALL: &[Work] = &Work::ALL;
        ALL.iter().find(|work| work.name == name)
    }

    pub(crate) fn run(&self, items: u64) {
        (self.run)(items);
    }

    /// Instructions of one item.
    pub(crate) fn per_item(&self) -> u64 {
        let [some, twice] = [self.items, 2 * self.items].map(|items| self.instructions(items));
        (twice - some) / self.items
    }

    fn instructions(&self, items: u64) -> u64 {
        let program = env::current_exe().expect("this program");
        let output = Command::new("valgrind")
            .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
            .arg(program)
            .args(["--work", self.name, &items.to_string()])
            .output()
            .expect("valgrind: install it");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let line = text.lines().find_map(|line| line.split_once(" refs:")).expect("a count of instructions");
        line.1.trim().replace(',', "").parse().expect("a number")
    }
}

/// One topic, 1 000 subscribers, one message a turn.
fn singles(deliveries: u64) {
    let mut shard = Shard::new(1, 1_000);
    (0..deliveries / 1_000).for_each(|_| shard.deliver(1));
}

/// The same, 16 messages a turn.
fn bursts(deliveries: u64) {
    let mut shard = Shard::new(1, 1_000);
    (0..deliveries / 16_000).for_each(|_| shard.deliver(16));
}

/// 1 000 topics with one subscriber each, one message a turn.
fn spread(deliveries: u64) {
    let mut shard = Shard::new(1_000, 1_000);
    (0..deliveries).for_each(|_| shard.deliver(1));
}

fn connects(count: u64) {
    Shard::new(1, count);
}

/// A token checked, and the rights that it gives.
fn tokens(count: u64) {
    let secret = [7; 32];
    let spec = r#"{"backbone": {"memory": {}}, "authorization": [{"subscribe": ["prices.>"]}],
        "authentication": {"jwt": [{"issuer": "home", "secretRef": {"name": "keys", "key": "jwt"}}]}}"#;
    let spec: TopicGatewaySpec = serde_json::from_str(spec).expect("a spec");
    let mut secrets = Secrets::default();
    secrets.insert("keys", "jwt", secret.into());
    let access = Access::new(&spec, &secrets).expect("an issuer");
    let claims = [("iss", "home".into()), ("sub", "user-1".into()), ("exp", 2_000_000_000.into())];
    let claims = claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    let token = sign(JwtAlgorithm::HS256, &secret, &claims).expect("a token");
    for _ in 0..count {
        black_box(access.authenticate(black_box(&token), 1_800_000_000).expect("a good token"));
    }
}
