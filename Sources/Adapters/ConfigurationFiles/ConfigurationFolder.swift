import Configuration
import LocalFiles
import Storage

/// The configuration files of a device: the main file, what came from afar, the drop-ins beside the main file and the board
/// profile they name.
package struct ConfigurationFolder: Sendable {
  /// `conf.d/*.toml` in the same folder are drop-ins, read after it in the byte order of their names.
  package var mainFile: String
  /// `$CREDENTIALS_DIRECTORY`, for secrets given as `credential:NAME`.
  package var credentialsDirectory: String?

  /// Content that counts instead of the file at its path, for files that are about to be installed.
  package var overlay: [String: [UInt8]] = [:]

  /// What stands between the main file and the drop-ins.
  package enum FromAfar: Sendable, Equatable {
    /// What the state directory has in force. When it does not fit the other files it is left out, which a notice says: a
    /// device must not lie still because of what somebody far away wrote.
    case stored
    case nothing
    /// What the state directory has as confirmed, and not what is tried.
    case confirmed
    /// A text that is to be judged; places in it name this file.
    case proposed([UInt8], file: String)
  }

  package var fromAfar = FromAfar.stored

  package static let installedMainFile = "/etc/thermograph/thermograph.toml"
  static let maximumDropIns = 64

  package init(mainFile: String = Self.installedMainFile, credentialsDirectory: String? = nil) {
    self.mainFile = mainFile
    self.credentialsDirectory = credentialsDirectory
  }

  /// Reads and checks every file. Does not fail: what is wrong is in `faults`.
  package func read() -> ConfigurationReading {
    let own = sources()
    let draft = ConfigurationReading(layers: own.layers, mainFile: mainFile)
    var notices: [ConfigurationFault] = []
    let text: RemoteText?
    switch fromAfar {
    case .nothing: text = nil
    case .proposed(let bytes, let file): text = RemoteText(file: file, bytes: bytes)
    case .stored, .confirmed:
      let found = RemoteConfigurationFolder(stateDirectory: draft.settings.paths.stateDirectory)
        .text(isTrialIgnored: fromAfar == .confirmed)
      notices = found.notices
      text = found.text
    }
    guard let text else { return finished(own, notices) }
    let pinned = Set((draft.settings.remote.pinned ?? []).map(\.path))
    if case .proposed = fromAfar { return finished(own.with(text, .remote(pinned: pinned, isProposed: true)), notices) }
    let reading = finished(own.with(text, .remote(pinned: pinned, isProposed: false)), notices)
    guard !reading.isUsable else { return reading }
    let without = finished(own, notices)
    guard without.isUsable, let fault = reading.faults.first else { return reading }
    return finished(
      own,
      notices + [
        ConfigurationFault(
          at: fault.place, "what came from afar does not fit and has no effect: \(fault.what)", expected: fault.expected
        )
      ])
  }

  /// What keeps a text from afar out, a line each with its line and column; empty: it fits the device's own files.
  package func faults(ofProposed toml: [UInt8]) -> [String] {
    var folder = self
    folder.fromAfar = .proposed(toml, file: Self.proposedName)
    return folder.read().faults.map { "\($0)" }
  }

  private static let proposedName = "configuration"

  /// What of the text from afar that is in force has no effect, and why, a line each.
  package func remarksOnRemote() -> [String] {
    let reading = read()
    return reading.notices.map { "\($0)" }.filter { $0.contains(RemoteConfigurationFolder.relativePath + "/") }
  }

  /// The main file and the drop-ins.
  private func sources() -> Sources {
    var sources = Sources(overlay: overlay)
    sources.add(mainFile, role: .settings, whatToDo: mainFileAdvice)
    for file in dropIns(&sources) {
      sources.add(file, role: .settings) { _ in "a readable file, or none" }
    }
    return sources
  }

  private func finished(_ given: Sources, _ notices: [ConfigurationFault]) -> ConfigurationReading {
    var sources = given
    let draft = ConfigurationReading(layers: sources.layers, mainFile: mainFile)
    addBoardProfile(draft, to: &sources)
    var reading = ConfigurationReading(
      layers: sources.layers, mainFile: mainFile, syntaxFaults: sources.faults,
      hasSiteRoot: { TrustStore.isSiteRootInstalled(stateDirectory: $0.paths.stateDirectory) })
    for file in sources.ignored.sorted() {
      reading.notices.append(
        ConfigurationFault(
          at: SourcePlace(file: file), "is not read: the name of a drop-in ends in .toml and begins with no dot"))
    }
    reading.notices += notices
    checkPrivateFiles(&reading)
    return reading
  }

  /// The line of `fault` with a caret, or `nil` when it is of a whole file or the file is gone.
  package static func excerpt(of fault: ConfigurationFault) -> SourceExcerpt? {
    guard let line = fault.place.line, let column = fault.place.column else { return nil }
    do throws(FileError) {
      let bytes = try BoundedFile.read(fault.place.file, maximumBytes: TOMLText.maximumBytes)
      let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      guard lines.indices.contains(line - 1) else { return nil }
      return SourceExcerpt(line: String(decoding: lines[line - 1], as: UTF8.self), column: column)
    } catch {
      // The fault itself is reported; its line is a convenience.
      return nil
    }
  }

  /// What has been read so far.
  private struct Sources {
    let overlay: [String: [UInt8]]
    var layers: [ConfigurationLayer] = []
    var faults: [ConfigurationFault] = []
    /// Files among the drop-ins that do not count.
    var ignored: [String] = []

    private func bytes(of file: String) throws(FileError) -> [UInt8] {
      guard let bytes = overlay[file] else {
        return try BoundedFile.read(file, maximumBytes: TOMLText.maximumBytes)
      }
      guard bytes.count <= TOMLText.maximumBytes else {
        throw FileError(path: file, reason: "has \(bytes.count) bytes; expected at most \(TOMLText.maximumBytes)")
      }
      return bytes
    }

    /// With a text behind the main file, which is the first layer whether it could be read or not.
    func with(_ text: RemoteText, _ role: ConfigurationLayer.Role) -> Self {
      var sources = self
      let toml = TOMLText(text.bytes, file: text.file)
      sources.faults += toml.faults
      sources.layers.insert(
        ConfigurationLayer(role: role, file: text.file, root: toml.root, isPartial: toml.isPartial),
        at: min(1, sources.layers.count))
      return sources
    }

    mutating func add(
      _ file: String, role: ConfigurationLayer.Role, first: Bool = false, whatToDo: (FileError) -> String
    ) {
      do throws(FileError) {
        let text = TOMLText(try bytes(of: file), file: file)
        faults += text.faults
        let layer = ConfigurationLayer(role: role, file: file, root: text.root, isPartial: text.isPartial)
        layers.insert(layer, at: first ? 0 : layers.count)
      } catch {
        faults.append(ConfigurationFault(at: SourcePlace(file: file), error.short, expected: whatToDo(error)))
        // Its keys are unknown, which is not the same as unset.
        let nothing = LocatedValue(.table([]), at: SourcePlace(file: file))
        layers.insert(ConfigurationLayer(role: role, file: file, root: nothing, isPartial: true), at: 0)
      }
    }
  }

  private func mainFileAdvice(_ problem: FileError) -> String {
    if problem.isMissing {
      return "a configuration there: start from /usr/share/doc/thermograph/examples/thermograph.toml, "
        + "or name a file with --config"
    }
    if problem.isForbidden { return "it readable by the user who runs this: chmod 644, or run as root" }
    return "a TOML file of at most \(TOMLText.maximumBytes) bytes"
  }

  private func dropIns(_ sources: inout Sources) -> [String] {
    let directory =
      (mainFile.contains("/") ? String(mainFile[...(mainFile.lastIndex(of: "/") ?? mainFile.startIndex)]) : "")
      + "conf.d"
    var names: Set<String> = []
    do throws(FileError) {
      names.formUnion(try Folder.names(in: directory, maximumNames: 1000))
    } catch {
      if !error.isMissing {
        sources.faults.append(
          ConfigurationFault(at: SourcePlace(file: directory), error.short, expected: "a readable directory, or none"))
      }
    }
    names.formUnion(
      overlay.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) })
    let dropIns = names.filter { $0.hasSuffix(".toml") && !$0.hasPrefix(".") }
      .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    sources.ignored = names.subtracting(dropIns).prefix(Self.maximumDropIns).map { "\(directory)/\($0)" }
    if dropIns.count > Self.maximumDropIns {
      sources.faults.append(
        ConfigurationFault(
          at: SourcePlace(file: directory), "holds \(dropIns.count) drop-ins",
          expected: "at most \(Self.maximumDropIns)"))
    }
    return dropIns.prefix(Self.maximumDropIns).map { "\(directory)/\($0)" }
  }

  private func addBoardProfile(_ draft: ConfigurationReading, to sources: inout Sources) {
    guard let board = draft.settings.device.board else { return }
    let directory = draft.settings.paths.hardwareDirectory + "/boards"
    let file = "\(directory)/\(board).toml"
    let place = draft.origins["device.board"]?.place ?? SourcePlace(file: mainFile)
    let known: [String]
    do throws(FileError) {
      known = try Folder.names(in: directory, maximumNames: 1000).filter { $0.hasSuffix(".toml") }.map {
        String($0.dropLast(5))
      }
    } catch {
      sources.faults.append(
        ConfigurationFault(
          at: place, "device.board is \"\(board)\" and \(directory) \(error.short)",
          expected: "paths.hardware_directory to hold the board profiles"))
      return
    }
    guard known.contains(board) else {
      sources.faults.append(.unknownBoard(board, known: known, directory: directory, at: place))
      return
    }
    sources.add(file, role: .boardProfile, first: true) { _ in "a readable board profile" }
  }
}

// MARK: - Files that others must not read

extension ConfigurationFolder {
  /// Modes only: a file that is not there yet is made later, by `enroll` or by the service.
  private func checkPrivateFiles(_ reading: inout ConfigurationReading) {
    for (key, path) in reading.settings.privateFiles {
      let place = reading.origins[key]?.place ?? SourcePlace(file: mainFile)
      do throws(FileError) {
        let mode = try Folder.permissions(of: path)
        if mode & 0o077 != 0 {
          reading.faults.append(
            ConfigurationFault(
              at: place, "\(key): \(path) is open to others, mode 0\(String(mode, radix: 8))",
              expected: "mode 0600: chmod 600 \(path)"))
        }
      } catch {
        if !error.isMissing {
          reading.notices.append(
            ConfigurationFault(at: place, "\(key): \(path) \(error.short)", expected: "root to check it"))
        }
      }
    }
  }
}

extension FileError {
  /// What is wrong, without the advice: a fault of the configuration gives one that fits the file's purpose.
  fileprivate var short: String {
    if isMissing { return "does not exist" }
    if isForbidden { return "may not be read by this user" }
    return String(reason.prefix { $0 != ";" })
  }
}
