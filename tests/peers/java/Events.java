import java.nio.charset.StandardCharsets;

/**
 * What a peer saw, one line an event, on standard output: a word, then its words.
 *
 * Payloads and reasons travel as hex, so that neither the locale nor a line end inside a message can spoil a line.
 */
final class Events {
    private Events() {}

    static synchronized void say(String... words) {
        System.out.println(String.join(" ", words));
        System.out.flush();
    }

    /** An empty payload is "-": every event keeps its number of words. */
    static String hex(byte[] bytes) {
        if (bytes.length == 0) {
            return "-";
        }
        StringBuilder digits = new StringBuilder(2 * bytes.length);
        for (byte each : bytes) {
            digits.append(Character.forDigit(each >> 4 & 15, 16)).append(Character.forDigit(each & 15, 16));
        }
        return digits.toString();
    }

    static String hex(String text) {
        return hex(text == null ? new byte[0] : text.getBytes(StandardCharsets.UTF_8));
    }

    static byte[] bytes(String hex) {
        if (hex.equals("-")) {
            return new byte[0];
        }
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }

    static String text(String hex) {
        return new String(bytes(hex), StandardCharsets.UTF_8);
    }
}
