package mme;

import java.io.OutputStream;
import java.io.PrintStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What MMS prints by itself ("Model server started."), as a line of the log like all others. */
final class StandardOutput {

    private static final Logger LOGGER = LoggerFactory.getLogger("stdout");

    private StandardOutput() {}

    /** From now on; the logger keeps the stream that it has. */
    static void toLog() {
        System.setOut(
                new PrintStream(OutputStream.nullOutputStream()) {
                    @Override
                    public void println(String line) {
                        LOGGER.info(line);
                    }
                });
    }
}
