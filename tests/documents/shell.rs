//! Enough of a shell's grammar to read the commands of documents.

/// A command, with the words it is called with and the files it reads from and writes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) words: Vec<String>,
    pub(super) reads: Vec<String>,
    pub(super) writes: Vec<String>,
}

/// Every command of a text: behind `|`, `&&` and assignments, and within `$(…)` too, which comes before what it is
/// part of.
pub(super) fn calls(text: &str) -> Vec<Call> {
    let mut reader = Reader::default();
    let mut rest = text.chars().collect::<Vec<_>>().into_iter().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('\n') | None => {}
                Some(other) => reader.put(other),
            },
            '\'' => {
                reader.begin();
                rest.by_ref().take_while(|c| *c != '\'').for_each(|c| reader.put(c));
            }
            '"' => quoted(&mut rest, &mut reader),
            '$' if rest.next_if_eq(&'(').is_some() => substitution(&mut rest, &mut reader),
            '#' if reader.word.is_none() => {
                rest.by_ref().take_while(|c| *c != '\n').for_each(drop);
                reader.end_call();
            }
            ' ' | '\t' => reader.end_word(),
            '<' | '>' => {
                reader.redirect(c);
                while rest.next_if(|next| *next == c || *next == '&').is_some() {}
            }
            '\n' | ';' | '|' | '&' => reader.end_call(),
            // A function: what stands in its braces are commands like others.
            '(' | ')' => reader.forget(),
            other => reader.put(other),
        }
    }
    reader.end_call();
    reader.calls
}

type Rest = std::iter::Peekable<std::vec::IntoIter<char>>;

fn quoted(rest: &mut Rest, reader: &mut Reader) {
    reader.begin();
    while let Some(c) = rest.next() {
        match c {
            '"' => return,
            '\\' => rest.next().into_iter().for_each(|c| reader.put(c)),
            '$' if rest.next_if_eq(&'(').is_some() => substitution(rest, reader),
            other => reader.put(other),
        }
    }
}

fn substitution(rest: &mut Rest, reader: &mut Reader) {
    let mut depth = 1;
    let inner: String = rest
        .take_while(|c| {
            depth += match c {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth > 0
        })
        .collect();
    reader.calls.extend(calls(&inner));
    "$()".chars().for_each(|c| reader.put(c));
}

#[derive(Default)]
struct Reader {
    calls: Vec<Call>,
    call: Call,
    word: Option<String>,
    /// `<` or `>`, if the next word is a file.
    redirect: Option<char>,
}

impl Reader {
    fn begin(&mut self) {
        self.word.get_or_insert_default();
    }

    fn put(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn redirect(&mut self, sign: char) {
        // The number before it is a descriptor.
        self.word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
        self.end_word();
        self.redirect = Some(sign);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        match self.redirect.take() {
            Some('<') => self.call.reads.push(word),
            Some(_) if word.chars().all(|c| c.is_ascii_digit()) => {}
            Some(_) => self.call.writes.push(word),
            None if self.call.words.is_empty() && (is_assignment(&word) || word == "{" || word == "}") => {}
            None => self.call.words.push(word),
        }
    }

    fn end_call(&mut self) {
        self.end_word();
        let call = std::mem::take(&mut self.call);
        if !call.words.is_empty() {
            self.calls.push(call);
        }
    }

    fn forget(&mut self) {
        (self.word, self.call) = (None, Call::default());
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The words of every command, as one would type them.
fn words(text: &str) -> Vec<String> {
    calls(text).into_iter().map(|call| call.words.join(" ")).collect()
}

#[test]
fn commands_are_found_wherever_they_stand() {
    for (text, expected) in [
        ("a b # c d\n# e\nf", &["a b", "f"][..]),
        ("a && b || c; d & e | f", &["a", "b", "c", "d", "e", "f"]),
        ("A=1 B='x y' a b", &["a b"]),
        ("a 'b c' \"d 'e' f\" g\\ h", &["a b c d 'e' f g h"]),
        ("a \\\n  b", &["a b"]),
        ("export A=$(b c) && d", &["b c", "export A=$()", "d"]),
        ("a \"$(b 'c d')\" e", &["b c d", "a $() e"]),
        ("f() { a b; c | d; }\nf x", &["a b", "c", "d", "f x"]),
        ("a 2>&1 | b", &["a", "b"]),
        ("a#b", &["a#b"]),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn files_that_are_read_and_written_are_told_apart() {
    let found = calls("a < in > out 2>> log");
    assert_eq!(
        (&found[0].reads[..], &found[0].writes[..]),
        (&["in".into()][..], &["out".into(), "log".into()][..])
    );
}
