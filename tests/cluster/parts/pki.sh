# Sourced by up: the cluster's keys, certificates and kubeconfig files.
# shellcheck shell=bash disable=SC2034,SC2154 # names that settings.sh and the sourcing script share

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# certificate NAME SUBJECT [ALTERNATIVE NAMES]
certificate() {
    new_key "$pki/$1.key"
    openssl req -new -key "$pki/$1.key" -subj "$2" -out "$pki/$1.csr"
    {
        echo 'basicConstraints=CA:FALSE'
        echo 'keyUsage=digitalSignature'
        echo 'extendedKeyUsage=clientAuth,serverAuth'
        [[ -z "${3:-}" ]] || echo "subjectAltName=$3"
    } >"$pki/$1.ext"
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
        -days 365 -extfile "$pki/$1.ext" -out "$pki/$1.crt" 2>/dev/null
    rm "$pki/$1.csr" "$pki/$1.ext"
}

authority() {
    new_key "$pki/ca.key"
    openssl req -x509 -new -key "$pki/ca.key" -subj /CN=topic-gateway-test -days 365 -out "$pki/ca.crt" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
    # Signs the tokens of service accounts.
    new_key "$pki/accounts.key"
    openssl pkey -in "$pki/accounts.key" -pubout -out "$pki/accounts.pub"
}

# control_certificates ADDRESS…: what API server, controllers and administrator need; the server's own addresses follow.
control_certificates() {
    local names=DNS:localhost name
    for name in kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local; do
        names+=",DNS:$name"
    done
    for name in 127.0.0.1 "$@"; do names+=",IP:$name"; done
    certificate apiserver /CN=kube-apiserver "$names"
    certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
    certificate front-proxy /CN=front-proxy-client
    certificate admin /O=system:masters/CN=admin
    certificate controller-manager /CN=system:kube-controller-manager
    certificate scheduler /CN=system:kube-scheduler
    certificate kube-proxy /CN=system:kube-proxy
    certificate coredns /CN=coredns
}

# kubeconfig NAME SERVER FILE: access to the server with the certificate of that name.
kubeconfig() {
    cat >"$3" <<YAML
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: $1}}]
clusters:
- name: test
  cluster: {server: "$2", certificate-authority-data: "$(base64 -w0 "$pki/ca.crt")"}
users:
- name: $1
  user:
    client-certificate-data: "$(base64 -w0 "$pki/$1.crt")"
    client-key-data: "$(base64 -w0 "$pki/$1.key")"
YAML
}
