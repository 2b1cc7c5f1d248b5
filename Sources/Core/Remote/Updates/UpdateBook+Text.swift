/// The record in words.
extension UpdateBook {
  /// A line a slot, the update under way, and the ends, newest first.
  package var lines: [String] {
    var lines = slots.map { slot in
      let previous = slot.previous.map { "; before it: \($0.text)" } ?? ""
      return "\(slot.slot.rawValue): \(slot.active.text)\(previous)"
    }
    if let update { lines.append("under way: \(update.text)") }
    if let order { lines.append("wanted: \(order.model) \(order.version): its \(order.parts) parts are on their way") }
    for end in ends.reversed() {
      lines.append(
        "\(end.result.rawValue): \(end.unit.model) \(end.unit.version)" + (end.reason.map { ": \($0)" } ?? ""))
    }
    return lines
  }
}

extension ModelChoice {
  package var text: String {
    unit.map { "\($0.model) \($0.version) (unit \($0.unitSHA256.prefix(12)))" } ?? "the installed model"
  }
}

extension UpdateBook.Update {
  /// What it waits for.
  package var text: String {
    let name = "\(unit.model) \(unit.version)"
    switch phase {
    case .waiting: return "\(name): waits for five minutes without a session\(windowText)"
    case .golden: return "\(name): its golden vectors are computed"
    case .shadow:
      return
        "\(name): came through \(shadows) of \(UpdateRules.shadowCaptures) shadow captures and agreed in \(agreements)"
        + (isStalled ? "; no captures came for 14 days" : "")
    case .passed: return "\(name): came through its trial; waits for five minutes without a session\(windowText)"
    case .active:
      return
        "\(name): decides, and is confirmed after \(UpdateRules.confirmingCaptures) captures (\(captures) so far) or a day"
    }
  }

  private var windowText: String { window.map { " within \($0) UTC" } ?? "" }
}
