//! The image that the Dockerfile describes.

use std::env;

use crate::kubectl::kubectl;

/// A namespace that admits nothing but the restricted profile, and a pod in it that is told nothing beyond.
const POD: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: image, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Pod
metadata: {name: version, namespace: image}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: gateway
    image: IMAGE
    args: [--version]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"#;

#[test]
fn the_image_runs_as_nobody_with_nothing_to_write_to() {
    let image = env::var("TOPIC_GATEWAY_IMAGE").expect("TOPIC_GATEWAY_IMAGE names the image under test");
    kubectl(&["apply", "-f", "-"], &POD.replace("IMAGE", &image));
    let ended = "--for=jsonpath={.status.phase}=Succeeded";
    kubectl(&["wait", "-n", "image", ended, "--timeout=60s", "pod/version"], "");
    let version = kubectl(&["logs", "-n", "image", "version"], "");
    kubectl(&["delete", "namespace", "image", "--wait=false"], "");
    assert_eq!(version, concat!("topic-gateway ", env!("CARGO_PKG_VERSION"), "\n"));
}
