/// The name of `names` that was probably meant by `word`, or `nil` when none is near.
///
/// Near is: at most a third of the letters differ (insertions, deletions, substitutions, neighbours swapped), or one is
/// the beginning of the other and only one name is, which finds `refresh_rate` for `refresh_rate_hz`.
package func nearestName(to word: String, among names: [String]) -> String? {
  let word = word.lowercased()
  guard !word.isEmpty, word.utf8.count <= 80 else { return nil }
  let ranked = names.map { (name: $0, distance: editDistance(word, $0.lowercased())) }
  if let best = ranked.min(by: { $0.distance < $1.distance }),
    best.distance <= max(1, max(word.count, best.name.count) / 3)
  {
    return best.name
  }
  let sharing = names.filter { name in
    let name = name.lowercased()
    return word.count >= 3 && (name.hasPrefix(word) || word.hasPrefix(name) || name.hasSuffix("_" + word))
  }
  return sharing.count == 1 ? sharing[0] : nil
}

/// Optimal string alignment distance.
func editDistance(_ left: String, _ right: String) -> Int {
  let left = Array(left.utf8)
  let right = Array(right.utf8)
  var beforePrevious: [Int] = []
  var previous = Array(0...right.count)
  for row in 0..<left.count {
    var current = [row + 1]
    for column in 0..<right.count {
      var cost = min(previous[column + 1], current[column]) + 1
      cost = min(cost, previous[column] + (left[row] == right[column] ? 0 : 1))
      if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
        cost = min(cost, beforePrevious[column - 1] + 1)
      }
      current.append(cost)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[right.count]
}
