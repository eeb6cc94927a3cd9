package mme;

import com.amazonaws.ml.mms.wlm.WorkerThread;
import java.io.IOException;
import java.lang.reflect.Field;

/** The private fields of MMS's worker threads. Its version is pinned; tests tell where it changes. */
final class Private {

    private Private() {}

    static Object get(WorkerThread worker, String name) throws IOException {
        try {
            return field(name).get(worker);
        } catch (ReflectiveOperationException e) {
            throw unexpected(e);
        }
    }

    static void set(WorkerThread worker, String name, Object value) throws IOException {
        try {
            field(name).set(worker, value);
        } catch (ReflectiveOperationException e) {
            throw unexpected(e);
        }
    }

    private static Field field(String name) throws ReflectiveOperationException {
        Field field = WorkerThread.class.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    private static IOException unexpected(ReflectiveOperationException e) {
        return new IOException("This is not the Multi Model Server that was expected", e);
    }
}
