package mme;

import java.math.BigDecimal;

/** A page in Prometheus' text format, version 0.0.4. */
final class Page {

    static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private final StringBuilder text = new StringBuilder(16384);

    /** Begin a family: all its samples follow, and no other family's. */
    void family(String name, String type, String help) {
        text.append("# HELP ").append(name).append(' ').append(help).append('\n');
        text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
    }

    void sample(String name, String labels, long value) {
        begin(name, labels).append(value).append('\n');
    }

    void sample(String name, String labels, double value) {
        begin(name, labels).append(number(value)).append('\n');
    }

    /** A finite number without an exponent, for whoever reads the page. */
    static String number(double value) {
        return BigDecimal.valueOf(value).stripTrailingZeros().toPlainString();
    }

    private StringBuilder begin(String name, String labels) {
        text.append(name);
        if (!labels.isEmpty()) {
            text.append('{').append(labels).append('}');
        }
        return text.append(' ');
    }

    /** A label with its value, escaped; control characters would end a line for some readers. */
    static String label(String name, String value) {
        StringBuilder out = new StringBuilder(name).append("=\"");
        for (int i = 0; i < value.length(); i++) {
            char letter = value.charAt(i);
            switch (letter) {
                case '\\':
                    out.append("\\\\");
                    break;
                case '"':
                    out.append("\\\"");
                    break;
                case '\n':
                    out.append("\\n");
                    break;
                default:
                    boolean endsLine = letter == '\u2028' || letter == '\u2029';
                    out.append(Character.isISOControl(letter) || endsLine ? '\uFFFD' : letter);
            }
        }
        return out.append('"').toString();
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
