package mme;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import software.amazon.ai.mms.servingsdk.Context;
import software.amazon.ai.mms.servingsdk.ModelServerEndpoint;
import software.amazon.ai.mms.servingsdk.annotations.Endpoint;
import software.amazon.ai.mms.servingsdk.annotations.helpers.EndpointTypes;
import software.amazon.ai.mms.servingsdk.http.Request;
import software.amazon.ai.mms.servingsdk.http.Response;

/**
 * The answer to /ping, in place of MMS's own, which is 200 whatever happens.
 *
 * <p>The entrypoint watches the server and keeps a file for as long as all is well; see serving_state.py.
 * MMS finds this class by its plug-in interface: an endpoint of the same name comes first.
 */
@Endpoint(
        urlPattern = "ping",
        endpointType = EndpointTypes.INFERENCE,
        description = "200 while the server can load and serve, else 503")
public class Ping extends ModelServerEndpoint {

    static {
        StandardOutput.toLog(); // MMS loads its plug-ins before it prints
    }

    @Override
    public void doGet(Request request, Response response, Context context) throws IOException {
        boolean healthy = new File(System.getProperty("mme.healthy")).exists();
        response.setStatus(healthy ? 200 : 503);
        response.setContentType("application/json");
        String word = healthy ? "Healthy" : "Unhealthy";
        byte[] body = ("{\"status\": \"" + word + "\"}\n").getBytes(StandardCharsets.UTF_8);
        response.getOutputStream().write(body);
    }
}
