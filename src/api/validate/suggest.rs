//! "Did you mean".

/// The candidate a mistyped word was probably meant to be.
pub(in crate::api) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let far = |candidate: &str| strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase());
    // A long word is no more than a few slips away from anything here, and comparing costs its length.
    let word_is_short = word.len() <= 64;
    candidates
        .into_iter()
        .filter(|_| word_is_short)
        .map(|candidate| (far(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["connections", "connectionsPerUser", "port", "jwt"];
        for (word, meant) in [
            ("conections", Some("connections")),
            ("Connections", Some("connections")),
            ("connectionsperUser", Some("connectionsPerUser")),
            ("prot", Some("port")),
            ("jwts", Some("jwt")),
            ("replicas", None),
            ("x", None),
        ] {
            assert_eq!(did_you_mean(word, known), meant, "{word}");
        }
    }
}
