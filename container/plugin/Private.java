package mme;

import java.io.IOException;
import java.lang.reflect.Field;

/** The private fields of MMS's classes. Its version is pinned; tests tell where it changes. */
final class Private {

    private Private() {}

    static Object get(Object owner, String name) throws IOException {
        try {
            return field(owner, name).get(owner);
        } catch (ReflectiveOperationException e) {
            throw unexpected(e);
        }
    }

    static void set(Object owner, String name, Object value) throws IOException {
        try {
            field(owner, name).set(owner, value);
        } catch (ReflectiveOperationException e) {
            throw unexpected(e);
        }
    }

    private static Field field(Object owner, String name) throws ReflectiveOperationException {
        Field field = owner.getClass().getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    private static IOException unexpected(ReflectiveOperationException e) {
        return new IOException("This is not the Multi Model Server that was expected", e);
    }
}
