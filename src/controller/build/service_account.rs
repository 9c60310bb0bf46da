//! The pods' identity. It may do nothing in the API, and no token of it is mounted.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{Child, parent::Parent};
use crate::controller::{kind::Kind, observed::Problem};

pub(super) fn build(parent: &Parent<'_>) -> Result<Child, Problem> {
    let account = ServiceAccount {
        metadata: parent.metadata(parent.name),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    parent.child(Kind::ServiceAccount, parent.name, &account)
}
