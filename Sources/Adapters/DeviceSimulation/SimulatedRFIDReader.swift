import Glibc
import Identification

/// A tag reader on a real pseudo-terminal: the device opens `path` with its ordinary serial port.
///
/// It keeps the habits of the reader it plays: an RDM6300 repeats its frame about every 65 ms while a tag is near, an
/// ID-12LA and a line reader send once when a tag comes. `path` is a symbolic link, as /dev/serial0 is, that points at
/// the present terminal, so that a reader plugged in again is found at the same place.
package actor SimulatedRFIDReader {
  package nonisolated let path: String
  package nonisolated let kind: ReaderKind

  private var terminal: PseudoTerminal?
  /// What answers on the line when `kind` is a PN532.
  private var chip = SimulatedPN532()
  private var responder: Task<Void, Never>?
  private var tags: [[UInt8]] = []
  private var nextTag = 0
  private var player: Task<Void, Never>?
  private let repeatInterval: Duration

  /// Plugs in a reader at `path`, which must not exist, or be a link that an earlier simulation left.
  ///
  /// - Parameters:
  ///   - kind: what it plays; a PN532 answers commands, with type A tags.
  ///   - repeatMilliseconds: the RDM6300's repeat interval, 1...10_000.
  package init(kind: ReaderKind = .rdm6300, path: String, repeatMilliseconds: Int = 65) throws(SimulationError) {
    self.kind = kind
    self.path = path
    repeatInterval = .milliseconds(min(max(repeatMilliseconds, 1), 10_000))
    terminal = try Self.plugIn(at: path)
  }

  /// A tag comes into the field and stays until it is taken away. More than one may be there at once.
  ///
  /// - Parameter uid: five bytes for the EM4100 readers, 2...16 for a line reader.
  package func present(_ uid: [UInt8]) {
    tags.append(uid)
    switch kind {
    case .rdm6300:
      if player == nil { player = Task { await self.playWhilePresent() } }
    case .id12la, .line:
      terminal?.send(frame(uid))
    case .pn532HSU:
      chip.identities = tags
    }
  }

  /// Takes every tag out of the field.
  package func takeAway() {
    tags.removeAll()
    chip.identities = []
    player?.cancel()
    player = nil
  }

  /// Holds a tag to the reader for a while: what a patient does.
  package func tap(_ uid: [UInt8], milliseconds: Int = 600) async {
    present(uid)
    // Cancelled early: the tag is taken away all the same.
    await pause(.milliseconds(milliseconds))
    takeAway()
  }

  /// Makes a PN532 misbehave.
  package func misbehave(_ faults: SimulatedPN532.Faults) {
    chip.faults = faults
  }

  /// Lets a PN532 answer from now on, until it is unplugged. Other readers need no prompting.
  package func answerCommands() {
    guard kind == .pn532HSU, responder == nil else { return }
    responder = Task {
      while !Task.isCancelled {
        self.answerPending()
        await pause(.milliseconds(5))
      }
    }
  }

  private func answerPending() {
    guard let bytes = terminal?.receive(), !bytes.isEmpty else { return }
    let answer = chip.respond(to: bytes)
    if !answer.isEmpty { terminal?.send(answer) }
  }

  /// Puts any bytes on the line: noise, stumps of frames, frames glued together.
  package func inject(_ bytes: [UInt8]) {
    terminal?.send(bytes)
  }

  /// Pulls the reader out: the device's side hangs up and the path vanishes.
  package func unplug() {
    takeAway()
    responder?.cancel()
    responder = nil
    chip = SimulatedPN532()
    terminal = nil
    unlink(path)
  }

  package var isPlugged: Bool { terminal != nil }

  /// How often the reader was plugged in, the first time included.
  package private(set) var timesPlugged = 1

  /// Plugs the reader in again, at the same path.
  package func plugIn() throws(SimulationError) {
    guard terminal == nil else { return }
    terminal = try Self.plugIn(at: path)
    timesPlugged += 1
  }

  private static func plugIn(at path: String) throws(SimulationError) -> PseudoTerminal {
    let terminal = try PseudoTerminal()
    var existing = stat()
    if lstat(path, &existing) == 0, existing.st_mode & S_IFMT == S_IFLNK { unlink(path) }
    guard symlink(terminal.path, path) == 0 else { throw .failed("symlink", on: path) }
    return terminal
  }

  private func frame(_ uid: [UInt8]) -> [UInt8] {
    switch kind {
    case .id12la: RFIDFrames.em4100(uid, layout: .id12la)
    case .line: RFIDFrames.line(uid)
    case .rdm6300, .pn532HSU: RFIDFrames.em4100(uid, layout: .rdm6300)
    }
  }

  private func playWhilePresent() async {
    while !Task.isCancelled, !tags.isEmpty {
      nextTag = (nextTag + 1) % tags.count
      terminal?.send(frame(tags[nextTag]))
      await pause(repeatInterval)
    }
  }
}

/// Waits, or returns early when the task is cancelled, which its loop looks at itself.
private func pause(_ duration: Duration) async {
  do {
    try await Task.sleep(for: duration)
  } catch {
    return
  }
}
