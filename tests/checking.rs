//! The checker itself: what is good passes, what is not is found, by the rule that it breaks.

mod causes;
mod good;
mod model;
mod mutations;
mod script;
mod wrong;
