use proptest::prelude::*;

use super::*;

fn failure(text: &str) -> Failure {
    documents(text).1.remove(0)
}

#[test]
fn a_field_is_on_the_line_of_its_name() {
    let (found, failure) = documents("a: 1\nb:\n  c:\n  - x\n  - d: {e: 2}\n---\nf: 3\n");
    assert_eq!(failure, []);
    let b = found[0].get("b").unwrap();
    let c = b.get("c").unwrap();
    let Kind::List(items) = &c.kind else { panic!("{c:?}") };
    assert_eq!((found[0].line, b.line, c.line), (1, 2, 3));
    assert_eq!((items[0].line, items[1].line, items[1].get("d").unwrap().line), (4, 5, 5));
    assert_eq!(found[1].get("f").unwrap().line, 7);
}

#[test]
fn empty_documents_are_left_out() {
    assert_eq!(documents("---\n---\n# nothing\n---\na: 1\n---\n").0.len(), 1);
    assert_eq!(documents(""), (vec![], vec![]));
}

#[test]
fn what_stands_before_an_error_is_kept() {
    let (found, failure) = documents("a: 1\n---\nb: [1\n");
    assert_eq!(found.len(), 1);
    assert!(failure[0].0 >= 3 && failure[0].1.starts_with("is not YAML: "), "{failure:?}");
}

#[test]
fn a_field_may_stand_only_once() {
    let (found, failure) = documents("a: 1\nb: 2\na: 3\n");
    assert_eq!(failure, [(3, "field \"a\" is given twice; keep one of them".into())]);
    assert_eq!(found[0].text("a"), Some("1"));
}

#[test]
fn aliases_and_merges_are_put_in_and_own_fields_win() {
    let (found, failure) = documents("base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\nagain: *base\n");
    assert_eq!(failure, []);
    let used = found[0].get("use").unwrap();
    assert_eq!((used.text("a"), used.text("b")), (Some("1"), Some("3")));
    assert_eq!(found[0].get("again").unwrap().line, 5);
}

#[test]
fn a_bomb_of_aliases_is_refused_before_it_grows() {
    let line = |n: usize| match n {
        0 => "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".into(),
        n => format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")),
    };
    let bomb: String = (0..12).map(line).collect();
    assert_eq!(failure(&bomb).1, "is too large with its aliases put in; write less");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 1000].join(", "));
    assert_eq!(failure(&long), (2, "is too large with its aliases put in; write less".into()));
}

#[test]
fn aliases_cannot_nest_without_end() {
    let line = |n: usize| match n {
        0 => "a0: &a0 [x]\n".into(),
        n => format!("a{n}: &a{n} [*a{}]\n", n - 1),
    };
    let deep: String = (0..100).map(line).collect();
    assert_eq!(failure(&deep).1, "is nested deeper than 64 by aliases; write it flatter");
    assert!(failure("a: &a [*a]\n").1.starts_with("is an alias for something that holds it"));
}

#[test]
fn nesting_and_size_are_bounded() {
    assert!(documents(&"[".repeat(10_000)).1.len() == 1);
    assert!(documents(&"- ".repeat(10_000)).1.len() == 1);
    assert!(failure(&" ".repeat(MAX_BYTES + 1)).1.starts_with("has 3145729 bytes; keep it below"));
}

#[test]
fn a_line_that_cannot_be_read_comes_with_advice() {
    for (text, advice) in [
        ("a:\n- [*]", "put patterns that begin with '*' or '>' in quotes"),
        ("a: *.b", "put patterns that begin with '*' or '>' in quotes"),
        ("a: [b, >]", "put patterns that begin with '*' or '>' in quotes"),
        ("a: @b", "put the text in quotes"),
        ("a:\n\tb: c", "indent with blanks instead of tabs"),
        ("a: b: c", "mend this line or the one above it"),
    ] {
        let (_, message) = failure(text);
        assert!(message.ends_with(&format!("; {advice}")), "{text}: {message}");
    }
    assert_eq!(failure("a:\n- >\n"), (2, "'>' without quotes begins a folded text; put it in quotes".into()));
}

#[test]
fn json_is_read_too() {
    assert_eq!(documents("{\"a\": {\"b\": \"c\"}}").0[0].get("a").unwrap().text("b"), Some("c"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        documents(&text);
    }

    #[test]
    fn no_mixture_of_yaml_signs_makes_the_reader_panic(
        text in "([-\\[\\]{}:,&*!|>#%@'\"? \n\ta1]|<<: |---\n|&a|\\*a|!!str )*"
    ) {
        documents(&text);
    }
}

#[test]
fn a_comment_may_stand_anywhere() {
    let (found, wrong) = documents("# a\na:\n  # b\n  b: # c\n  - 1 # d\n  # e\n");
    assert_eq!((found.len(), wrong), (1, Vec::new()));
    assert!(found[0].get("a").and_then(|a| a.get("b")).is_some());
}
