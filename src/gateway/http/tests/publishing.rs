//! Publishing, between the request and the backbone.

use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn a_publish_is_seen_through_though_its_client_goes() {
    let [begun, confirmed, done] = [(); 3].map(|()| Arc::new(Semaphore::new(0)));
    let (begins, waits, ends) = (begun.clone(), confirmed.clone(), done.clone());
    let server = Server::with(&Limits::default(), Duration::from_secs(10), |front| {
        front.publish = Box::new(move |_, _, _, _| {
            let (begins, waits, ends) = (begins.clone(), waits.clone(), ends.clone());
            async move {
                begins.add_permits(1);
                waits.acquire().await.unwrap().forget();
                ends.add_permits(1);
                PublishAnswer::Accepted(None)
            }
            .boxed()
        });
    });
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let request = "POST /publish/open.x HTTP/1.1\r\nHost: gw\r\nContent-Length: 1\r\n\r\n1";
    client.write_all(request.as_bytes()).await.unwrap();
    let soon = Duration::from_secs(20);
    timeout(soon, begun.acquire()).await.expect("the publish begins").unwrap().forget();
    assert_eq!(server.tasks.len(), 3, "the accept loop, the connection, and the publish for itself");
    drop(client);
    let gone = async {
        while server.tasks.len() > 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(soon, gone).await.expect("the connection ends");
    confirmed.add_permits(1);
    timeout(soon, done.acquire()).await.expect("the publish ends").unwrap().forget();
}
