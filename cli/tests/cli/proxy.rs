//! A network between a client and a broker that loses answers.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const PRODUCE: [u8; 2] = [0, 0];

/// Passes requests on; the first answers to produce requests are cut off, together with their connections.
pub(crate) struct LossyProxy {
    pub(crate) address: String,
    to_lose: Arc<AtomicUsize>,
}

impl LossyProxy {
    pub(crate) fn start(broker: &str, answers_lost: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let to_lose = Arc::new(AtomicUsize::new(answers_lost));
        let (broker, left) = (broker.to_owned(), to_lose.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (broker, left) = (broker.clone(), left.clone());
                // Either side may end the connection at any time.
                thread::spawn(move || drop(pass(client, &broker, &left)));
            }
        });
        Self { address, to_lose }
    }

    pub(crate) fn has_lost_all(&self) -> bool {
        self.to_lose.load(Ordering::SeqCst) == 0
    }
}

fn pass(mut client: TcpStream, broker: &str, to_lose: &AtomicUsize) -> io::Result<()> {
    let mut broker = TcpStream::connect(broker)?;
    loop {
        let request = frame(&mut client)?;
        broker.write_all(&request)?;
        let answer = frame(&mut broker)?;
        let less_by_one = |left: usize| left.checked_sub(1);
        let is_produce = request[4..6] == PRODUCE;
        if is_produce && to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_by_one).is_ok() {
            return Ok(());
        }
        client.write_all(&answer)?;
    }
}

/// A request or an answer with the four bytes of its length.
fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = length.to_vec();
    frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut frame[4..])?;
    Ok(frame)
}
