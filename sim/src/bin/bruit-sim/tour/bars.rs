//! The bar at the end of each line of the tour: the number of members that a running member sees alive, on average.

use bruit_core::Node;
use bruit_sim::Cluster;

const WIDTH: usize = 16;

/// The bar as text, such as `████████········ 16.0`.
pub(super) fn bar(cluster: &Cluster<Node>, nodes: usize) -> String {
    let views: Vec<usize> =
        cluster.running().filter_map(|index| cluster.node(index)).map(Node::member_count).collect();
    let (sum, count) = (views.iter().sum::<usize>(), views.len().max(1));
    let eighths = (sum * WIDTH * 8 / count / nodes.max(1)).min(WIDTH * 8);
    let tenths = sum * 10 / count;
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    let full = "█".repeat(eighths / 8);
    let used = eighths / 8 + usize::from(!partial.is_empty());
    format!("{full}{partial}{} {:>2}.{}", "·".repeat(WIDTH - used), tenths / 10, tenths % 10)
}
