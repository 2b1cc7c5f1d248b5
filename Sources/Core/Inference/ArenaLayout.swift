/// Where each computed tensor lives in the one static arena. Tensors whose lives do not overlap share memory.
struct ArenaLayout: Equatable, Sendable {
  /// A tensor's need: `bytes` from step `first` (which writes it) to step `last` (which reads it last), inclusive.
  struct Request: Equatable, Sendable {
    var tensor: Int
    var bytes: Int
    var first: Int
    var last: Int

    func overlaps(_ other: Request) -> Bool { first <= other.last && other.first <= last }
  }

  /// Start of every tensor within the arena; enough for vectors of 128 bits and for float32.
  static let alignment = 16

  private(set) var offsets: [Int: Int] = [:]
  private(set) var byteCount = 0
  /// The largest sum of sizes alive at one step: no layout can be smaller.
  let bound: Int

  init(_ requests: [Request]) {
    bound = Self.liveBound(requests)
    // Placing large tensors first is almost always within a few percent of the bound; when it is not, placing by
    // length of life or in order of time usually is.
    let orders: [(Request, Request) -> Bool] = [
      { ($1.bytes, $0.first) < ($0.bytes, $1.first) },
      { ($1.last - $1.first, $1.bytes) < ($0.last - $0.first, $0.bytes) },
      { ($0.first, $1.bytes) < ($1.first, $0.bytes) },
    ]
    byteCount = Int.max
    for order in orders where byteCount > bound {
      let (candidate, size) = Self.place(requests.sorted(by: order))
      keep(candidate, size)
    }
    // Still above it: whatever sticks out goes first, again and again.
    var order = requests.sorted(by: orders[0])
    for _ in 0..<min(64, 4_000_000 / max(requests.count * requests.count, 1)) where byteCount > bound {
      let (candidate, size) = Self.place(order)
      keep(candidate, size)
      guard
        let highest = order.firstIndex(where: { (candidate[$0.tensor] ?? 0) + Self.rounded($0.bytes) == size })
      else { break }
      order.insert(order.remove(at: highest), at: 0)
    }
  }

  private mutating func keep(_ candidate: [Int: Int], _ size: Int) {
    if size < byteCount {
      offsets = candidate
      byteCount = size
    }
  }

  /// Each request goes into the lowest gap between those already placed that are alive at the same time.
  private static func place(_ requests: [Request]) -> (offsets: [Int: Int], byteCount: Int) {
    var placed: [(request: Request, offset: Int)] = []
    var offsets: [Int: Int] = [:]
    var byteCount = 0
    for request in requests {
      var offset = 0
      // `placed` is kept in order of offset.
      for other in placed where other.request.overlaps(request) {
        if offset + rounded(request.bytes) <= other.offset { break }
        offset = max(offset, other.offset + rounded(other.request.bytes))
      }
      let position = placed.firstIndex { $0.offset > offset } ?? placed.count
      placed.insert((request, offset), at: position)
      offsets[request.tensor] = offset
      byteCount = max(byteCount, offset + rounded(request.bytes))
    }
    return (offsets, byteCount)
  }

  static func rounded(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }

  private static func liveBound(_ requests: [Request]) -> Int {
    var changes: [Int: Int] = [:]
    for request in requests {
      changes[request.first, default: 0] += rounded(request.bytes)
      changes[request.last + 1, default: 0] -= rounded(request.bytes)
    }
    var alive = 0
    var bound = 0
    for step in changes.keys.sorted() {
      alive += changes[step] ?? 0
      bound = max(bound, alive)
    }
    return bound
  }
}
