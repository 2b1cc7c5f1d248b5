import Identification
import Panel

extension Settings {
  /// The RFID reader.
  package struct Reader: Sendable, Equatable {
    package var kind = ReaderKind.rdm6300
    package var device = "/dev/serial0"
    /// Speed of the serial port; `nil`: the reader's own, see `effectiveBaud`.
    package var baud: Int?
    /// When frames make a tag.
    package var policy = PresentationConfirmer.Policy()
    /// What a line reader sends.
    package var linePattern = LinePattern()
    /// What a PN532 looks for.
    package var pn532 = PN532Rules()

    package init() {}

    /// `baud`, or what the reader leaves the factory with.
    package var effectiveBaud: Int { baud ?? kind.baud }
  }

  /// Who may be captured and under which name.
  package struct Patients: Sendable, Equatable {
    /// Key of the pseudonyms, the same on every device of a site. Default `{state_directory}/keys/site.key`.
    package var siteKeyFile: SecretReference = .file("/var/lib/thermograph/keys/site.key")
    package var rosterFile: String?

    package init() {}
  }

  /// GPIO lines of the button, the lights and the buzzer; a part without a line is not there.
  package struct Pins: Sendable, Equatable {
    /// Label of the chip, as `gpioinfo` prints it: the number of a chip changes between kernels. `nil` with lines that
    /// are named: every chip is searched for the name.
    package var chip: String?
    package var button: PinReference?
    /// One light that shows every colour alike.
    package var led: PinReference?
    /// A light of three colours, beside `led` or in its place.
    package var ledRed: PinReference?
    package var ledGreen: PinReference?
    package var ledBlue: PinReference?
    package var buzzer: PinReference?
    /// A switch that says that the case is open.
    package var caseContact: PinReference?
    /// The open case connects the line to ground.
    package var caseContactActiveLow = false
    /// The button connects the line to ground.
    package var buttonActiveLow = true
    /// A low level lights up: lamps to the supply, a common anode.
    package var ledActiveLow = false
    package var buzzerActiveLow = false
    /// A long press cancels.
    package var buttonTiming = ButtonDebouncer.Timing()

    package init() {}

    var all: [PinReference?] { [button, led, ledRed, ledGreen, ledBlue, buzzer, caseContact] }
  }
}
