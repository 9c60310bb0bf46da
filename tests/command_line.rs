//! The commands a person types: what they print, and the code they end with.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Gateway, Issuer, Process, Resource, command, request, wait_until};

/// Exit code, standard output and standard error of a command that ends by itself.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let mut process = Process::spawn(command);
    let status = process.wait();
    (status.code().expect("an exit code"), process.stdout(), process.stderr())
}

fn url(gateway: &Gateway) -> String {
    gateway.url("/ws")
}

#[test]
fn sub_prints_what_pub_publishes() {
    let gateway = Gateway::start(&Resource::open());
    let mut sub =
        Process::spawn(&mut command(["sub", "prices.*", "news", "--count", "2", "--url", &url(&gateway)]));
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 2.0);
    let publish =
        |topic: &str, payload: &str| run(&mut command(["pub", topic, payload, "--url", &url(&gateway)]));
    assert_eq!(publish("prices.btc", r#"{"bid": 1.50}"#), (0, "ok 1\n".into(), String::new()));
    assert_eq!(publish("news", "hello"), (0, "ok 1\n".into(), String::new()));
    assert!(sub.wait().success());
    assert_eq!(sub.stdout(), "prices.btc 1 {\"bid\": 1.50}\nnews 1 \"hello\"\n");
}

#[tokio::test]
async fn sub_acknowledges_what_it_prints_and_so_gets_more_than_may_be_unacknowledged() {
    let at_least_once = json!([{"pattern": "risk", "delivery": "AtLeastOnce", "ackTimeoutSeconds": 3600}]);
    let resource = Resource::open().set("topics", at_least_once).set("limits.publishPerSecond", json!(0));
    let gateway = Gateway::start(&resource);
    let mut sub = Process::spawn(&mut command(["sub", "risk", "--count", "600", "--url", &url(&gateway)]));
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 1.0);
    let mut publisher = gateway.client().await;
    for n in 1..=600 {
        publisher.publish("risk", &n.to_string(), json!(n)).await;
    }
    assert!(tokio::task::spawn_blocking(move || (sub.wait(), sub)).await.unwrap().0.success());
}

#[test]
fn sub_prints_whole_frames_with_json() {
    let gateway = Gateway::start(&Resource::open());
    let mut sub =
        Process::spawn(&mut command(["sub", "a", "--json", "--count", "1", "--url", &url(&gateway)]));
    gateway.wait_for_metric("topicgateway_subscriptions", &[], 1.0);
    run(&mut command(["pub", "a", "1", "--message-id", "m", "--url", &url(&gateway)]));
    assert!(sub.wait().success());
    let text = sub.stdout();
    let frames: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ready", "subscribed", "message"]);
    assert_eq!((&frames[2]["messageId"], &frames[2]["data"]), (&json!("m"), &json!(1)));
}

#[test]
fn a_gateway_that_does_not_answer_is_waited_for_and_that_is_said() {
    // The system takes the connection, and nobody reads it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/ws", silent.local_addr().unwrap());
    let sub = Process::spawn(&mut command(["sub", "a", "--url", &url]));
    wait_until("it says for whom it waits", || sub.stderr().contains(&format!("waiting for {url}")));
}

#[test]
fn pub_sends_each_line_of_standard_input() {
    let gateway = Gateway::start(&Resource::open());
    let mut publish = Process::spawn(&mut command(["pub", "a", "-", "--url", &url(&gateway)]));
    publish.input("1\n{\"x\":2}\n\nthree\n");
    assert!(publish.wait().success());
    assert_eq!(publish.stdout(), "ok 1\nok 2\nok 3\n");
}

#[test]
fn pub_says_that_a_message_id_was_there_before() {
    let gateway = Gateway::start(&Resource::open());
    let publish = || run(&mut command(["pub", "a", "1", "--message-id", "m", "--url", &url(&gateway)]));
    assert_eq!(publish().1, "ok 1\n");
    assert_eq!(publish().1, "duplicate 1\n");
}

#[tokio::test]
async fn a_client_shows_the_token_it_is_given_in_a_file() {
    let issuer = Issuer::shared();
    let gateway = Gateway::start(&Resource::with_tokens(&issuer));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("token");
    let token = issuer.token(json!({}));
    fs::write(&file, format!("{token}\n")).unwrap();
    let with = run(command(["pub", "a", "1", "--url", &url(&gateway), "--token-file"]).arg(&file));
    assert_eq!((with.0, with.1.as_str()), (0, "ok 1\n"), "{with:?}");
    let without = run(&mut command(["pub", "a", "1", "--url", &url(&gateway), "--retries", "0"]));
    assert_eq!(without.0, 77, "{without:?}");
    assert!(without.2.contains("AUTH_REQUIRED") && without.2.contains("--token-file"), "{without:?}");
    fs::write(&file, issuer.token(json!({"aud": "shop"}))).unwrap();
    let refused = run(command(["sub", "a", "--url", &url(&gateway), "--token-file"]).arg(&file));
    assert_eq!(refused.0, 77, "{refused:?}");
    assert!(!format!("{refused:?}").contains("eyJ"), "the token was printed");
}

#[test]
fn a_token_minted_from_the_gateways_own_file_lets_its_user_in() {
    let resource = Resource::with_tokens(&Issuer::shared());
    let gateway = Gateway::start(&resource);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, resource.yaml()).unwrap();
    let (code, token, told) = run(command(["token", "mint", "--user", "ann", "-f"]).arg(&file));
    assert_eq!(code, 0, "{told}");
    let publish =
        |token: &str| run(&mut command(["pub", "a", "1", "--url", &url(&gateway), "--token", token]));
    assert_eq!(publish(&token).1, "ok 1\n");
    assert_ne!(publish("").0, 0, "without a token");
}

#[test]
fn help_and_version_end_with_0() {
    for arguments in [["--help"].as_slice(), &["--version"], &["dev", "--help"], &["sub", "--help"]] {
        let (code, out, told) = run(&mut command(arguments));
        assert_eq!((code, told.as_str()), (0, ""), "{arguments:?}");
        assert!(!out.is_empty());
    }
}

#[test]
fn crd_prints_what_the_repository_holds() {
    let (code, printed, _) = run(&mut command(["crd"]));
    assert_eq!(code, 0);
    assert!(printed.contains("kind: CustomResourceDefinition"), "{printed}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let held = fs::read_dir(&folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    assert!(
        held.into_iter().any(|text| text == printed),
        "crds/ differs: print it anew with `topic-gateway crd`"
    );
}

#[test]
fn check_says_that_a_resource_is_valid() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    fs::write(&file, Resource::with_tokens(&Issuer::rsa()).yaml()).unwrap();
    let (code, out, told) = run(command(["check", "-f"]).arg(&file));
    assert_eq!(code, 0, "{told}");
    assert!(format!("{out}{told}").contains("valid"), "{out}{told}");
    assert!(out.contains("Deployment/"), "{out}");
    let (code, names, told) = run(command(["check", "--output", "names", "-f"]).arg(&file));
    assert_eq!(code, 0, "{told}");
    assert!(names.lines().any(|line| line == "Deployment/test"), "{names}");
}

#[test]
fn sub_begins_with_what_there_was() {
    let gateway = Gateway::start(&Resource::open());
    for number in 1..=5 {
        let key = number.to_string();
        let answer = request(gateway.address, "POST /publish/a", &[("Idempotency-Key", &key)], &key);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for (from, expected) in
        [(["--last", "2"], "a 4 4\na 5 5\n"), (["--from-seq", "3"], "a 3 3\na 4 4\na 5 5\n")]
    {
        let count = expected.lines().count().to_string();
        let mut sub = command(["sub", "a", "--url", &url(&gateway), "--count", &count]);
        assert_eq!(run(sub.args(from)), (0, expected.into(), String::new()));
    }
    let (code, _, told) = run(command(["sub", "a.*", "--last", "2"]).args(["--url", &url(&gateway)]));
    assert!(code == 64 && told.contains("a pattern"), "{code}: {told}");
}

#[test]
fn completions_are_taken_by_the_shell_and_name_every_command() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("completions");
    let (code, out, told) = run(&mut command(["completions", "bash"]));
    assert_eq!(code, 0, "{told}");
    fs::write(&file, &out).unwrap();
    let asked = "source $0; COMP_WORDS=(topic-gateway ''); COMP_CWORD=1; \
                 $(complete -p topic-gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/') topic-gateway '' topic-gateway; \
                 echo ${COMPREPLY[@]}";
    let reply = Command::new("bash").args(["-c", asked]).arg(&file).output().unwrap();
    let reply = String::from_utf8(reply.stdout).unwrap();
    for name in
        ["dev", "gateway", "controller", "sub", "pub", "bench", "token", "check", "crd", "completions"]
    {
        assert!(reply.split_whitespace().any(|word| word == name), "{name} is not in {reply:?}");
    }
}

#[test]
fn check_prints_the_objects_that_the_controller_would_make_without_what_is_secret() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("gateway.yaml");
    let secret = "a-secret-that-nobody-is-to-read-anywhere";
    let issuer = Issuer::keyed("https://a.example.com", secret.into());
    fs::write(&file, Resource::with_tokens(&issuer).yaml()).unwrap();
    let (code, out, told) = run(command(["check", "--output", "yaml", "--image", "a/b:c", "-f"]).arg(&file));
    assert_eq!(code, 0, "{told}");
    assert!(out.contains("kind: Deployment\n") && out.contains("image: a/b:c\n"), "{out}");
    assert!(out.contains(&base64::Engine::encode(&base64::prelude::BASE64_STANDARD, "(not shown)")), "{out}");
    assert!(!out.contains("null"), "{out}");
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, secret);
    assert!(!out.contains(secret) && !out.contains(&encoded), "{out}");
}

#[tokio::test]
async fn a_minted_token_is_accepted_by_the_gateway_and_by_check() {
    let secret = "a-secret-of-more-than-32-bytes-for-tests";
    let issuer = Issuer::keyed("https://trial.example", secret.into());
    let gateway = Gateway::start(&issuer.admitted(Resource::closed()));
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, secret).unwrap();
    let key = ["--issuer", "https://trial.example", "--secret-file", file.to_str().unwrap()];
    let wanted = ["--audience", "market", "--user", "ann", "--subscribe", "prices.>"];
    let (code, token, told) = run(command(["token", "mint"]).args(key).args(wanted));
    assert_eq!(code, 0, "{told}");
    let mut client = Client::connect(&gateway.url("/ws")).await;
    client.send(json!({"type": "setup", "token": token.trim(), "topics": ["prices.btc"]})).await;
    assert_eq!(client.expect("ready").await["userId"], "ann");
    client.expect("subscribed").await;
    let check = |token: &str| {
        let mut process =
            Process::spawn(command(["token", "check"]).args(key).args(["--audience", "market"]));
        process.input(token);
        let code = process.wait().code();
        (code, process.stdout(), process.stderr())
    };
    let (code, claims, told) = check(&token);
    assert_eq!(code, Some(0), "{told}");
    assert!(claims.contains("ann"), "{claims}");
    let (code, _, told) = check(&issuer.token(json!({"aud": "shop"})));
    assert_eq!(code, Some(77));
    assert!(told.contains("aud"), "{told}");
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mint = ["token", "mint", "--secret-env", "SECRET", "--issuer", "home", "--user", "ann"];
    for arguments in [&mint[..], &["crd"]] {
        let mut command = command(arguments);
        command
            .env("SECRET", "a-secret-of-more-than-32-bytes-for-tests")
            .stdout(writer.try_clone().unwrap())
            .stderr(writer.try_clone().unwrap());
        assert_eq!(command.status().unwrap().code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn gateway_serves_from_a_gateway_config() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yaml");
    let config = json!({
        "apiVersion": "topicgateway.io/v1alpha1",
        "kind": "GatewayConfig",
        "name": "market", "namespace": "prices", "generation": 7,
        "secretsDirectory": directory.path(),
        "spec": {
            "backbone": {"memory": {}},
            "authentication": {"anonymous": "Allow"},
            "authorization": [{"subscribe": [">"], "publish": [">"]}],
        },
    });
    fs::write(&file, config.to_string()).unwrap();
    let gateway = Gateway::from(
        command(["gateway", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--config"]).arg(&file),
        directory,
    );
    gateway.wait_for_metric("topicgateway_config_generation", &[], 7.0);
    assert_eq!(gateway.get("/demo/publish/a?x=1").status, 404, "the demo address is for dev alone");
    assert_eq!(run(&mut command(["pub", "a", "1", "--url", &url(&gateway)])).1, "ok 1\n");
}

#[test]
fn probe_says_by_its_exit_code_whether_an_address_answers_well() {
    let gateway = Gateway::start(&Resource::open());
    let probe = |url: &str| run(&mut command(["probe", url]));
    let (code, told, _) = probe(&format!("http://{}/livez", gateway.admin));
    assert_eq!((code, told.contains("200 OK")), (0, true), "{told}");
    let (code, _, told) = probe(&format!("http://{}/nothing-here", gateway.admin));
    assert_eq!((code, told.contains("404")), (69, true), "{told}");
    // Nobody listens on the first port.
    let (code, _, told) = probe("http://127.0.0.1:1/readyz");
    assert_eq!((code, told.contains("does not answer")), (69, true), "{told}");
    for url in ["https://127.0.0.1/readyz", "127.0.0.1:9090", "/readyz"] {
        let (code, _, told) = probe(url);
        assert_eq!((code, told.contains("write http://HOST:PORT/PATH")), (64, true), "{url}: {told}");
    }
}
