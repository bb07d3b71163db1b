use std::time::Duration;
fn main() {
    let m = bruit_sim::bench::chatter(1000, Duration::from_secs(200)).unwrap();
    println!("{m:?} {}", m.rate());
    let t = std::time::Instant::now();
    let m = bruit_sim::bench::members(1000, Duration::from_secs(60)).unwrap();
    println!("{m:?} {} wall {:?}", m.rate(), t.elapsed());
}
